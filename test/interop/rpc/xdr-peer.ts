/** The C program of xdr-peer.c, made by the host's rpcgen and compiler against its libtirpc. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findProgram } from '../../../src/host/privilege.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const HEADERS = '/usr/include/tirpc'
const REFUSED = 0xffff_ffff
const OUTPUT_BYTES = 64 * 1024 * 1024

/** @returns what is missing to make it, or '' */
export function lackingXdrPeer(): string {
  const programs = ['rpcgen', 'gcc'].filter(name => findProgram([name]) === null)
  return [...programs, ...(existsSync(HEADERS) ? [] : ['libtirpc-dev'])].map(name => `no ${name}`).join(', ')
}

export class XdrPeer {
  private readonly directory = mkdtempSync(join(tmpdir(), 'putnext-xdr-'))
  private readonly program = join(this.directory, 'xdr-peer')

  constructor() {
    const { directory, program } = this
    const at = (name: string) => join(directory, name)
    execFileSync('cp', [join(HERE, 'everything.x'), directory])
    execFileSync('rpcgen', ['-h', '-o', at('everything.h'), 'everything.x'], { cwd: directory })
    execFileSync('rpcgen', ['-c', '-o', at('everything_xdr.c'), 'everything.x'], { cwd: directory })
    const sources = [join(HERE, 'xdr-peer.c'), at('everything_xdr.c')]
    execFileSync('gcc', ['-w', `-I${HEADERS}`, `-I${directory}`, '-o', program, ...sources, '-ltirpc'])
  }

  /** @returns what it writes when it reads `input` */
  run(input: Uint8Array, ...args: string[]): Uint8Array {
    const { status, stdout, stderr } = spawnSync(this.program, args, { input, maxBuffer: OUTPUT_BYTES })
    if (status !== 0) throw new Error(`xdr-peer ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  /** Messages in, messages out; null for one that it refuses. */
  exchange(messages: readonly Uint8Array[], ...args: string[]): (Uint8Array | null)[] {
    return unframed(this.run(framed(messages), ...args))
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export function framed(messages: readonly Uint8Array[]): Uint8Array {
  const parts = messages.flatMap(message => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(message.length)
    return [length, message]
  })
  return Buffer.concat(parts)
}

export function unframed(bytes: Uint8Array): (Uint8Array | null)[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messages: (Uint8Array | null)[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at)
    at += 4
    messages.push(length === REFUSED ? null : bytes.slice(at, at + length))
    if (length !== REFUSED) at += length
  }
  return messages
}
