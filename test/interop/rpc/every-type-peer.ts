/** The C programs of every-type.x, made by the host's rpcgen and compiler against its libtirpc. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AUTH_TOOWEAK, SYSTEM_ERR } from '../../../src/rpc/status.ts'
import { RpcStatusError } from '../../../src/rpc/status-error.ts'
import { XdrOpaque } from '../../../src/rpc/xdr/index.ts'
import type { EveryTypeV1Service } from './every-type-server.ts'
import { Color, type Tree } from './every-type-types.ts'

const HERE = import.meta.dirname
const HEADERS = '/usr/include/tirpc'

/** `every-type-client` and `every-type-server`: see their first lines. */
export class EveryTypePrograms {
  private readonly directory = mkdtempSync(join(tmpdir(), 'putnext-every-type-'))
  readonly client = this.at('client')
  readonly server = this.at('server')

  constructor() {
    copyFileSync(join(HERE, 'every-type.x'), this.at('every-type.x'))
    for (const [option, file] of [
      ['-h', 'every-type.h'],
      ['-c', 'xdr.c'],
      ['-l', 'stub.c'],
      ['-m', 'dispatch.c'],
    ] as const)
      execFileSync('rpcgen', ['-NM', option, '-o', this.at(file), 'every-type.x'], { cwd: this.directory })
    this.compile(this.client, 'every-type-client.c', 'stub.c')
    this.compile(this.server, 'every-type-server.c', 'dispatch.c')
  }

  private compile(program: string, own: string, generated: string): void {
    const sources = [join(HERE, own), this.at(generated), this.at('xdr.c')]
    const includes = [HEADERS, this.directory, HERE].map(path => `-I${path}`)
    execFileSync('gcc', ['-w', ...includes, '-o', program, ...sources, '-ltirpc'])
  }

  private at(name: string): string {
    return join(this.directory, name)
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

const NEXT = { [Color.RED]: Color.GREEN, [Color.GREEN]: Color.BLUE, [Color.BLUE]: Color.RED } as const

const mirrored = ({ value, left, right }: Tree): Tree => ({
  value,
  left: right && mirrored(right),
  right: left && mirrored(left),
})

/** What every-type-server.c does, in TypeScript. */
export const everyTypeService: EveryTypeV1Service = {
  echo(all) {
    const data = XdrOpaque.of(all.data.toBytes())
    all.data.free()
    return { ...all, data }
  },
  add: (a, b) => a + BigInt(b),
  invert: value => ~value >>> 0,
  double: value => value * 2n,
  half: value => value / 2,
  square: value => value * value,
  not: value => !value,
  color: paint => NEXT[paint],
  name: value => value,
  negate: ({ rows }) => ({ rows: rows.map(row => row.map(value => -value)) }),
  lookup(status) {
    if (status === 0) return { status, found: new Uint8Array(32).fill(7) }
    return status === 1 ? { status, moved: -1n } : { status }
  },
  mirror: mirrored,
  // Later, as if it had waited for a disk.
  blob: async length => numbered(length),
  sum: bytes => bytes.reduce((sum, byte) => sum + byte, 0) >>> 0,
  more: all => all,
  weak() {
    throw RpcStatusError.denied(AUTH_TOOWEAK)
  },
  fail() {
    throw RpcStatusError.accepted(SYSTEM_ERR)
  },
}

export const numbered = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at & 0xff)
