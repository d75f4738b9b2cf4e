/** Where running nodes and labs are found: control sockets and records, by name. */
import { existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StackError } from '../base/errors.ts'
import { didYouMean } from './did-you-mean.ts'

const SOCKET_SUFFIX = '.sock'
/** Of the ports for programs of other processes that labs open. */
export const PORT_SUFFIX = '.ipc'
/** sun_path of unix(7) holds 108 bytes with the ending zero. */
export const SOCKET_PATH_BYTES_MAX = 107

type Environment = Readonly<Record<string, string | undefined>>

/**
 * `PUTNEXT_STATE_DIR`, else `/run/putnext` for root, else `putnext` in the user's runtime directory, else one of the user's
 * own among the temporary ones.
 * @throws StackError `ERR_ACCESS` if that is somebody else's
 */
export function stateDirectory(env: Environment = process.env): string {
  const chosen = env['PUTNEXT_STATE_DIR']
  if (chosen !== undefined && chosen !== '') return chosen
  if (process.geteuid?.() === 0) return '/run/putnext'
  const runtime = env['XDG_RUNTIME_DIR']
  if (runtime !== undefined && runtime !== '') return join(runtime, 'putnext')
  return ownTemporaryDirectory()
}

/** Everybody may make directories in /tmp, so one that is there has to be ours. @throws StackError `ERR_ACCESS` */
function ownTemporaryDirectory(): string {
  const user = process.geteuid?.() ?? -1
  const path = join(tmpdir(), `putnext-${user}`)
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined || (found.isDirectory() && found.uid === user)) return path
  throw new StackError('ERR_ACCESS', `${path} is not ours`, {
    hint: 'name a directory of yours with PUTNEXT_STATE_DIR',
  })
}

/** Makes a directory of the state, readable by its owner only. @throws StackError `ERR_ACCESS` */
export function makeStateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new StackError('ERR_ACCESS', `cannot make the directory ${path}`, {
      cause,
      hint: 'choose another one with PUTNEXT_STATE_DIR',
    })
  }
}

/** Where a node's control socket is, by default. @param lab - of a node that belongs to one */
export function controlSocketPath(node: string, lab?: string, env: Environment = process.env): string {
  const directory = lab === undefined ? stateDirectory(env) : join(stateDirectory(env), lab)
  return join(directory, `${node}${SOCKET_SUFFIX}`)
}

/** Names of the nodes that have a socket: `n1`, and `LAB/n1` for those of labs. */
export function knownNodes(env: Environment = process.env): string[] {
  const directory = stateDirectory(env)
  const sockets = (path: string): string[] =>
    existsSync(path)
      ? readdirSync(path).flatMap(file =>
          file.endsWith(SOCKET_SUFFIX) ? [file.slice(0, -SOCKET_SUFFIX.length)] : [],
        )
      : []
  if (!existsSync(directory)) return []
  const labs = readdirSync(directory, { withFileTypes: true }).filter(entry => entry.isDirectory())
  return [
    ...sockets(directory),
    ...labs.flatMap(({ name }) => sockets(join(directory, name)).map(node => `${name}/${node}`)),
  ].sort()
}

/**
 * The control socket that NODE on a command line means: a path of a socket, `LAB/NODE`, or a node's name; the name
 * alone also finds a lab's node if no other has it.
 * @throws StackError `ERR_NOT_FOUND`, naming what there is
 */
export function resolveNode(node: string, env: Environment = process.env): string {
  if (node.startsWith('/') || node.startsWith('./') || node.endsWith(SOCKET_SUFFIX)) return node
  const known = knownNodes(env)
  const found = known.includes(node) ? [node] : known.filter(name => name.endsWith(`/${node}`))
  if (found.length === 1) {
    const [lab, name] = found[0]!.includes('/') ? found[0]!.split('/') : [undefined, found[0]!]
    return controlSocketPath(name!, lab, env)
  }
  if (found.length > 1)
    throw new StackError('ERR_NOT_FOUND', `more than one node is named ${node}`, {
      hint: `say which: ${found.join(', ')}`,
    })
  throw new StackError('ERR_NOT_FOUND', `no node named "${node}" is running`, {
    hint:
      known.length === 0
        ? `no node is known in ${stateDirectory(env)}; is one running, and as the same user?`
        : didYouMean(node, known),
  })
}

/**
 * The port for programs of other processes (`attach` of `putnext/ipc`) of a lab's node whose lab file says `ipc: true`.
 * @param node - `LAB/NODE`, or the name alone if no other has it
 * @throws StackError `ERR_NOT_FOUND`: no such node, or it has no such port
 */
export function programPortPath(node: string, env: Environment = process.env): string {
  const path = resolveNode(node, env).replace(/\.sock$/, PORT_SUFFIX)
  if (existsSync(path)) return path
  throw new StackError('ERR_NOT_FOUND', `the node ${node} has no port for programs of other processes`, {
    hint: 'say "ipc: true" of it in the lab file, or start it with "putnext node run FILE --ipc PATH"',
  })
}
