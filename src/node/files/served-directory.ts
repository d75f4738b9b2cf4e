/**
 * Opens what a path names below one directory and nowhere else. What was opened is asked where it is, so that neither a
 * symbolic link nor a name that changes between two looks leads out.
 */
import { constants, type Dir, realpathSync, type Stats, statSync } from 'node:fs'
import { type FileHandle, open, opendir, readlink, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { StackError } from '../../base/errors.ts'
import { isHidden } from './request-path.ts'

/** `inside`: a link is followed as long as it stays below the directory. */
export type SymlinkPolicy = 'none' | 'inside' | 'all'

/** What a name led to. `refused`: it is there and may not be read, or is neither a file nor a directory. */
export type Opened =
  | { readonly kind: 'file'; readonly handle: FileHandle; readonly stats: Stats }
  | { readonly kind: 'directory'; readonly directory: Dir; readonly path: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused' }

const MISSING: Opened = { kind: 'missing' }
const REFUSED: Opened = { kind: 'refused' }
/** A FIFO does not make us wait for its writer. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK
const REFUSALS = new Set(['EACCES', 'EPERM', 'EMFILE', 'ENFILE', 'EIO'])

export class ServedDirectory {
  /** Without symbolic links. */
  readonly root: string
  private readonly policy: SymlinkPolicy
  private readonly hidden: boolean

  /** @param hidden - whether a link may lead to a name that is hidden by convention @throws StackError `ERR_NOT_FOUND` there is no such directory; `ERR_ACCESS` it cannot be read */
  constructor(directory: string, policy: SymlinkPolicy = 'inside', hidden = false) {
    this.policy = policy
    this.hidden = hidden
    this.root = realDirectory(directory)
  }

  /** Opens a path; the caller closes what it gets. Never throws. @param names - decoded, without `..` */
  async open(names: readonly string[]): Promise<Opened> {
    const path = join(this.root, ...names)
    try {
      const kind = await stat(path)
      if (!kind.isFile() && !kind.isDirectory()) return REFUSED
      const handle = await open(path, FLAGS)
      const opened = await this.admit(handle, path).catch(() => MISSING)
      if (opened.kind !== 'file') await handle.close()
      return opened
    } catch (error) {
      return REFUSALS.has((error as NodeJS.ErrnoException).code ?? '') ? REFUSED : MISSING
    }
  }

  /** Whether an entry of an open directory would be served. */
  async wouldServe(path: string, names: readonly string[]): Promise<boolean> {
    const real = await realpath(path).catch(() => null)
    return real !== null && this.admits(real, join(this.root, ...names))
  }

  private async admit(handle: FileHandle, path: string): Promise<Opened> {
    const own = `/proc/self/fd/${handle.fd}`
    const real = await readlink(own).catch(() => realpath(path))
    if (!this.admits(real, path)) return MISSING
    const stats = await handle.stat()
    if (stats.isFile()) return { kind: 'file', handle, stats }
    if (!stats.isDirectory()) return REFUSED
    return { kind: 'directory', directory: await opendir(own).catch(() => opendir(real)), path: real }
  }

  private admits(real: string, path: string): boolean {
    const below = real === this.root || real.startsWith(this.root === '/' ? '/' : `${this.root}/`)
    if (below && !this.hidden && isHidden(real.slice(this.root.length).split('/'))) return false
    if (this.policy === 'all') return true
    if (this.policy === 'none') return real === path || `${real}/` === path
    return below
  }
}

/** Where a directory really is. @throws StackError `ERR_NOT_FOUND`, `ERR_ACCESS` */
export function realDirectory(directory: string): string {
  try {
    const real = realpathSync(directory)
    if (statSync(real).isDirectory()) return real
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'EACCES') throw new StackError('ERR_ACCESS', `cannot read ${directory} (${code})`, { cause })
    throw new StackError('ERR_NOT_FOUND', `there is no directory ${directory}`, { cause })
  }
  throw new StackError('ERR_NOT_FOUND', `${directory} is no directory`, {
    hint: 'serve the directory that the file is in',
  })
}
