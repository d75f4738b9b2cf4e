// Scripts that nobody would write: any command in any state, segments that nearly fit, time that passes anyhow. Whatever is asked,
// every line has one answer, nothing breaks inside, and every block comes home.
import { describe, expect, it } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { COMMANDS } from './commands.ts'
import { type PacketFields, type TcpFields, toHex } from './packet-fields.ts'
import { Session } from './session.ts'

const RUNS = 200
const COMMANDS_PER_RUN = 150
const PORTS = [80, 81]
const PEER_PORTS = [1_000, 1_001, 1_002]
const LOCAL = '192.0.2.1'
const REMOTE = '198.51.100.7'

type Answer = Readonly<Record<string, unknown>>

class RandomScript {
  private readonly random: Prng
  private readonly session: Session
  private answers: Answer[] = []
  private readonly answered = new Map<number, number>()
  private lines = 0
  /** What the stack sent last, by flow. */
  private readonly sent = new Map<string, TcpFields>()

  constructor(seed: number) {
    this.random = new Prng(seed)
    this.session = new Session(COMMANDS, line => this.take(JSON.parse(line) as Answer))
  }

  private take(answer: Answer): void {
    expect(answer['error']).not.toBe('internal')
    expect(answer['faults']).toBeUndefined()
    const line = answer['line'] as number
    this.answered.set(line, (this.answered.get(line) ?? 0) + 1)
    this.answers.push(answer)
  }

  private say(command: object): void {
    this.lines++
    this.session.line(JSON.stringify(command))
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]!
  }

  private get fd(): number {
    return 3 + this.random.below(6)
  }

  private get size(): number {
    return this.random.below(3) === 0 ? this.random.below(200_000) : this.random.below(3_000)
  }

  run(): void {
    const offload = this.random.below(2) === 0
    const tcp = {
      synBacklog: 1 + this.random.below(3),
      synCookies: this.random.below(3),
      ecn: this.random.below(3),
    }
    this.say({ cmd: 'config', seed: this.random.int32() >>> 0, arenaBytes: 4 * 1024 * 1024, offload, tcp })
    if (this.random.below(10) > 0) for (const port of PORTS) this.listen(port)
    for (let i = 0; i < COMMANDS_PER_RUN; i++) {
      this.step()
      this.say({ cmd: 'expect', decode: true })
      this.look()
    }
    expect(this.session.end()).toBeNull()
    for (let line = 1; line <= this.lines; line++) expect(this.answered.get(line)).toBe(1)
  }

  private listen(port: number): void {
    const fd = 3 + PORTS.indexOf(port)
    this.say({ cmd: 'socket', nonblock: true })
    this.say({ cmd: 'bind', fd, port })
    this.say({ cmd: 'listen', fd, backlog: 3 })
  }

  /** Remembers the numbers of what was sent. */
  private look(): void {
    for (const answer of this.answers.splice(0)) {
      for (const { fields } of (answer['packets'] ?? []) as { fields: PacketFields }[]) {
        if (fields.protocol !== 'tcp' || fields.flags.includes('R')) continue
        expect(fields.checksumOk).toBe(true)
        this.sent.set(`${fields.sourcePort}:${fields.destinationPort}`, fields)
      }
    }
  }

  private step(): void {
    const { fd, random } = this
    const nonblock = random.below(2) === 0 ? { nonblock: true } : {}
    const choices: readonly (() => object)[] = [
      () => ({ cmd: 'socket', nonblock: random.below(2) === 0 }),
      () => ({ cmd: 'bind', fd, port: this.pick(PORTS) }),
      () => ({ cmd: 'listen', fd, backlog: random.below(4) }),
      ...new Array<() => object>(3).fill(() => ({ cmd: 'accept', fd: 3 + random.below(2), ...nonblock })),
      () => ({ cmd: 'connect', fd, address: REMOTE, port: this.pick(PEER_PORTS), ...nonblock }),
      () => ({ cmd: 'write', fd, size: this.size, ...nonblock }),
      () => ({
        cmd: 'send',
        fd,
        size: this.size,
        flags: this.pick([['MSG_OOB'], ['MSG_MORE'], ['MSG_DONTWAIT']]),
      }),
      () => ({ cmd: 'write', fd, size: this.size, nonblock: true }),
      () => ({ cmd: 'read', fd, size: this.size, as: 'pattern', ...nonblock }),
      () => ({ cmd: 'shutdown', fd, how: this.pick(['rd', 'wr', 'rdwr']) }),
      () => ({ cmd: 'close', fd: 5 + random.below(4) }),
      () => ({ cmd: 'poll', fd, ms: random.below(100) }),
      () => ({ cmd: 'info', fd }),
      () => ({ cmd: 'ioctl', fd, request: this.pick(['SIOCINQ', 'SIOCOUTQ', 'SIOCATMARK']) }),
      () => ({ cmd: 'setsockopt', fd, ...this.option() }),
      () => ({
        cmd: 'config',
        ...this.pick([{ mtu: 600 }, { mtu: 1_500 }, { linkBlocked: true }, { linkBlocked: false }]),
      }),
      () => ({ cmd: 'advance', us: random.below(this.pick([1_000, 100_000, 3_000_000, 300_000_000])) }),
      () => ({ cmd: 'inject', packet: this.icmp() }),
      ...new Array<() => object>(14).fill(() => ({ cmd: 'inject', packet: this.segment() })),
    ]
    this.say(this.pick(choices)())
  }

  private option(): object {
    const { random } = this
    return this.pick([
      { name: 'SO_LINGER', value: { onoff: random.below(2), linger: random.below(2) } },
      { name: 'SO_KEEPALIVE', value: 1 },
      { name: 'TCP_KEEPIDLE', value: 1 + random.below(3) },
      { name: 'TCP_NODELAY', value: random.below(2) },
      { name: 'TCP_CORK', value: random.below(2) },
      { name: 'TCP_USER_TIMEOUT', value: random.below(5_000) },
      { name: 'SO_RCVBUF', value: 2_048 + random.below(20_000) },
      { name: 'SO_SNDBUF', value: 2_048 + random.below(20_000) },
      { name: 'TCP_MAXSEG', value: 88 + random.below(1_400) },
      { name: 'SO_REUSEADDR', value: 1 },
    ])
  }

  /** Right in most cases; else a little beside, or anything. @param wrong - of 100 */
  private around(number: number, wrong = 50): number {
    const { random } = this
    if (random.below(100) >= wrong) return number >>> 0
    const off = this.pick([1, -1, 1_460, -1_460, 65_535, random.below(100_000), random.int32()])
    return (number + off) >>> 0
  }

  private segment(): object {
    const { random } = this
    const known = [...this.sent.values()]
    const last = known.length === 0 || random.below(5) === 0 ? null : this.pick(known)
    const wrong = this.pick([0, 0, 10, 60])
    const answer = last === null ? 'S' : last.flags === 'S' ? 'SA' : this.pick(['A', 'A', 'PA', 'PA', 'FPA'])
    const odd = ['S', 'A', 'PA', 'FA', 'R', 'RA', 'SA', 'UPA', 'FPA', 'AE', 'SEW', 'F', '']
    const edge = (last?.seq ?? 0) + (last?.payloadBytes ?? 0) + (/[SF]/.test(last?.flags ?? '') ? 1 : 0)
    const flags = random.below(100) < wrong ? this.pick(odd) : answer
    return {
      source: REMOTE,
      destination: LOCAL,
      sourcePort: last?.destinationPort ?? this.pick(PEER_PORTS),
      destinationPort: last?.sourcePort ?? this.pick(PORTS),
      flags,
      seq: this.around(last?.flags === 'S' ? 5_000 : (last?.ack ?? 5_000), wrong),
      ack: this.around(edge, wrong),
      window: this.pick([0, 1, 100, 1_000, 65_535, 65_535, 65_535]),
      urgent: this.pick([0, 1, 500, 65_535]),
      tos: random.below(4),
      payloadBytes: flags.includes('S') ? 0 : this.pick([0, 0, 1, 100, 1_000, 1_460]),
      options: this.options(edge),
    }
  }

  private options(edge: number): object[] {
    const { random } = this
    return this.pick([
      [],
      [],
      [],
      [],
      [],
      [{ kind: 'mss', value: this.pick([0, 100, 536, 1_460, 65_535]) }, { kind: 'sackPermitted' }],
      [{ kind: 'timestamps', value: random.below(100), echo: 0 }],
      [{ kind: 'nop' }, { kind: 'windowScale', value: random.below(16) }],
      [
        {
          kind: 'sack',
          blocks: [
            [this.around(edge), this.around(edge + 1_460)],
            [this.around(edge), this.around(edge)],
          ],
        },
      ],
      [{ kind: 'raw', hex: toHex(Uint8Array.from({ length: 8 }, () => random.below(256))) }],
    ])
  }

  private icmp(): object {
    const { random } = this
    const known = [...this.sent.values()]
    const quoted = known.length === 0 ? null : this.pick(known)
    const header = new Uint8Array(28)
    if (quoted !== null) {
      const view = new DataView(header.buffer)
      header.set([0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 6])
      header.set([192, 0, 2, 1, 198, 51, 100, 7], 12)
      view.setUint16(20, quoted.sourcePort)
      view.setUint16(22, quoted.destinationPort)
      view.setUint32(24, this.around(quoted.seq))
    }
    return {
      protocol: 'icmp',
      source: REMOTE,
      destination: LOCAL,
      type: this.pick([3, 3, 3, 4, 11, 12, random.below(256)]),
      code: random.below(6),
      word: this.pick([0, 68, 576, 1_000, 1_400, 65_535]),
      payload: toHex(header),
    }
  }
}

describe('sim/script with random scripts', () => {
  it.each(Array.from({ length: RUNS / 25 }, (_, i) => 25 * i))(
    'from seed %i on: one answer a line, nothing breaks, nothing leaks',
    from => {
      for (let seed = from; seed < from + 25; seed++) {
        try {
          new RandomScript(seed).run()
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
        }
      }
    },
    60_000,
  )

  it.each([2_794, 3_864])('seed %i: two writes wait, one with MSG_MORE', seed => {
    new RandomScript(seed).run()
  })
})
