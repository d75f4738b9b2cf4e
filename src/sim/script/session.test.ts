import { describe, expect, it } from 'vitest'
import { COMMANDS } from './commands.ts'
import { Session } from './session.ts'

interface Answer {
  readonly [name: string]: unknown
}

/** Runs lines, or commands, and gives all answers. */
function run(...lines: readonly (string | Record<string, unknown>)[]): Answer[] {
  const answers: Answer[] = []
  const session = new Session(COMMANDS, line => answers.push(JSON.parse(line) as Answer))
  for (const line of lines) session.line(typeof line === 'string' ? line : JSON.stringify(line))
  const leaked = session.end()
  expect(leaked).toBeNull()
  return answers
}

describe('sim/script session', () => {
  it('every line has one answer, with its number, its id and the time', () => {
    expect(
      run(
        { cmd: 'now', id: 'a' },
        '',
        '# a comment',
        { cmd: 'advance', ms: 1.5 },
        { cmd: 'advance', to: 2_000, id: [1] },
        { cmd: 'advance', s: 1 },
      ),
    ).toEqual([
      { line: 1, id: 'a', at: 0, ok: true, value: 0, sent: 0 },
      { line: 4, at: 1_500, ok: true, value: 1_500 },
      { line: 5, id: [1], at: 2_000, ok: true, value: 2_000 },
      { line: 6, at: 1_002_000, ok: true, value: 1_002_000 },
    ])
  })

  it.each([
    ['{', 'bad-json'],
    ['[1]', 'bad-json'],
    ['null', 'bad-json'],
    ['7', 'bad-json'],
    ['{}', 'bad-argument'],
    ['{"cmd":1}', 'bad-argument'],
    ['{"cmd":"fly"}', 'unknown-command'],
    ['{"cmd":"constructor"}', 'unknown-command'],
    ['{"cmd":"__proto__"}', 'unknown-command'],
    ['{"cmd":"socket","domain":"unix"}', 'bad-argument'],
    ['{"cmd":"socket","color":"red"}', 'bad-argument'],
    ['{"cmd":"advance"}', 'bad-argument'],
    ['{"cmd":"advance","ms":-1}', 'bad-argument'],
    ['{"cmd":"advance","ms":"1"}', 'bad-argument'],
    ['{"cmd":"advance","ms":1,"s":1}', 'bad-argument'],
    ['{"cmd":"inject","hex":"0"}', 'bad-packet'],
    ['{"cmd":"inject"}', 'bad-argument'],
    ['{"cmd":"inject","packet":{"source":"x"}}', 'bad-packet'],
    ['{"cmd":"decode","hex":"00"}', 'bad-packet'],
    ['{"cmd":"config","mtu":1}', 'bad-argument'],
    ['{"cmd":"read","fd":3.5}', 'bad-argument'],
    ['{"cmd":"write","fd":3}', 'bad-argument'],
    ['{"cmd":"write","fd":3,"data":"x","flags":["MSG_WHAT"]}', 'bad-argument'],
    ['{"cmd":"poll","fd":3,"events":["POLLX"]}', 'bad-argument'],
  ])('a line that is wrong says why, and the script goes on: %s', (line, error) => {
    const [wrong, good] = run(line, { cmd: 'now' })
    expect(wrong).toMatchObject({ line: 1, ok: false, error })
    expect(wrong!['message']).toBeTypeOf('string')
    expect(good).toMatchObject({ line: 2, ok: true })
  })

  it('a setting of TCP that nobody knows is answered with those that there are', () => {
    const [wrong] = run('{"cmd":"config","tcp":{"nagle":1}}')
    expect(wrong!['message']).toMatch(/there is no setting "nagle"; known: memoryBytes, .*portLast/)
  })

  it('a command with a member that nobody knows does nothing', () => {
    const answers = run({ cmd: 'socket', colour: 1 }, { cmd: 'socket' }, { cmd: 'sockets' })
    expect(answers[1]).toMatchObject({ value: 3 })
    expect(answers[2]!['value']).toHaveLength(1)
  })

  it('descriptors are the lowest that are free; one that is not open is EBADF', () => {
    const open = { cmd: 'socket' }
    const answers = run(open, open, open, { cmd: 'close', fd: 4 }, open, { cmd: 'close', fd: 9 })
    expect(answers.map(({ value, errno }) => errno ?? value)).toEqual([3, 4, 5, 0, 4, 'EBADF'])
    for (const cmd of ['listen', 'accept', 'getsockname', 'getpeername', 'read', 'poll', 'info', 'fcntl'])
      expect(run({ cmd, fd: 3 })[0]).toMatchObject({ ok: false, errno: 'EBADF' })
  })

  it('bind: addresses and ports that cannot be had', () => {
    const bind = (fd: number, address?: string, port = 80) => ({ cmd: 'bind', fd, address, port })
    const answers = run(
      { cmd: 'socket' },
      { cmd: 'socket' },
      { cmd: 'socket', domain: 'inet6' },
      bind(3, '192.0.2.9'),
      bind(3, '2001:db8::1'),
      bind(3, '192.0.2.1'),
      bind(3, '192.0.2.1', 81),
      bind(4, '192.0.2.1'),
      bind(4),
      bind(5, '::'),
      bind(5, '2001:db8::1'),
      { cmd: 'getsockname', fd: 5 },
      bind(4, undefined, 0),
      { cmd: 'getsockname', fd: 4 },
    ).slice(3)
    expect(answers.map(({ value, errno }) => errno ?? value)).toEqual([
      'EADDRNOTAVAIL',
      'EAFNOSUPPORT',
      0,
      'EINVAL',
      'EADDRINUSE',
      'EADDRINUSE',
      'EADDRINUSE',
      0,
      0,
      0,
      0,
    ])
    expect(answers[8]).toMatchObject({ address: '2001:db8::1', port: 80 })
    expect(answers[10]!['port']).toBeGreaterThanOrEqual(32_768)
  })

  it('calls on a socket that is not connected', () => {
    const answers = run(
      { cmd: 'socket' },
      { cmd: 'write', fd: 3, data: 'x' },
      { cmd: 'read', fd: 3 },
      { cmd: 'shutdown', fd: 3, how: 'wr' },
      { cmd: 'getpeername', fd: 3 },
      { cmd: 'accept', fd: 3 },
      { cmd: 'setsockopt', fd: 3, name: 'SO_NOPE', value: 1 },
      { cmd: 'setsockopt', fd: 3, name: 'TCP_MAXSEG', value: 1 },
      { cmd: 'setsockopt', fd: 3, name: 'SO_ERROR', value: 1 },
      { cmd: 'connect', fd: 3, address: '2001:db8::2', port: 80 },
    ).slice(1)
    expect(answers.map(({ errno }) => errno)).toEqual([
      'EPIPE',
      'ENOTCONN',
      'ENOTCONN',
      'ENOTCONN',
      'EINVAL',
      'ENOPROTOOPT',
      'EINVAL',
      'ENOPROTOOPT',
      'EAFNOSUPPORT',
    ])
  })

  it('what is set is shown', () => {
    const cases = [
      ['TCP_NODELAY', 1],
      ['SO_KEEPALIVE', 1],
      ['TCP_KEEPIDLE', 7],
      ['TCP_KEEPINTVL', 8],
      ['TCP_KEEPCNT', 9],
      ['TCP_USER_TIMEOUT', 3_000],
      ['TCP_MAXSEG', 1_000],
      ['SO_RCVBUF', 4_096],
      ['SO_SNDBUF', 8_192],
      ['IP_TTL', 9],
      ['IP_TOS', 16],
      ['TCP_QUICKACK', 1],
      ['TCP_CONGESTION', 'reno'],
      ['SO_LINGER', { onoff: 1, linger: 2 }],
      ['SO_RCVTIMEO', 50],
      ['SO_REUSEADDR', 1],
    ] as const
    const answers = run(
      { cmd: 'socket' },
      ...cases.flatMap(([name, value]) => [
        { cmd: 'setsockopt', fd: 3, name, value },
        { cmd: 'getsockopt', fd: 3, name },
      ]),
    ).slice(1)
    expect(answers.filter((_, i) => i % 2 === 1).map(({ result }) => result)).toEqual(cases.map(([, v]) => v))
  })

  it('what nobody set is shown as what holds', () => {
    const names = [
      'TCP_MAXSEG',
      'SO_RCVBUF',
      'SO_SNDBUF',
      'TCP_KEEPIDLE',
      'TCP_KEEPINTVL',
      'TCP_KEEPCNT',
      'IP_TTL',
    ]
    const answers = run({ cmd: 'socket' }, ...names.map(name => ({ cmd: 'getsockopt', fd: 3, name })))
    expect(answers.slice(1).map(({ result }) => result)).toEqual([536, 262_144, 262_144, 7_200, 75, 9, 64])
  })

  it('a snapshot has our names, short ones, and as TCP_INFO those of Linux', () => {
    const peer = { source: '198.51.100.7', destination: '192.0.2.1', sourcePort: 4, destinationPort: 80 }
    const lines: Answer[] = []
    const session = new Session(COMMANDS, line => lines.push(JSON.parse(line) as Answer))
    const say = (command: object): Answer => {
      session.line(JSON.stringify(command))
      return lines.at(-1)!
    }
    for (const command of [{ cmd: 'socket' }, { cmd: 'bind', fd: 3, port: 80 }, { cmd: 'listen', fd: 3 }])
      say(command)
    expect(say({ cmd: 'getsockopt', fd: 3, name: 'TCP_INFO' })['result']).toEqual({ tcpi_state: 10 })
    say({ cmd: 'inject', packet: { ...peer, flags: 'S', options: [{ kind: 'mss', value: 1_000 }] } })
    const { packets } = say({ cmd: 'expect', decode: true }) as unknown as {
      packets: { fields: { seq: number } }[]
    }
    say({ cmd: 'advance', ms: 80 })
    say({ cmd: 'inject', packet: { ...peer, seq: 1, ack: packets[0]!.fields.seq + 1 } })
    say({ cmd: 'accept', fd: 3 })
    const { value } = say({ cmd: 'info', fd: 4 })
    expect(value).toMatchObject({
      state: 'ESTABLISHED',
      cwnd: 10,
      ca_state: 'open',
      srtt: 80_000,
      rto: 280_000,
    })
    expect(value).toMatchObject({
      snd_mss: 1_000,
      sndMss: 1_000,
      reordering: 3,
      sacked: 0,
      lost: 0,
      retransmits: 0,
    })
    expect(say({ cmd: 'getsockopt', fd: 4, name: 'TCP_INFO' })['result']).toMatchObject({
      tcpi_state: 1,
      tcpi_ca_state: 0,
      tcpi_snd_cwnd: 10,
      tcpi_rtt: 80_000,
      tcpi_rto: 280_000,
      tcpi_snd_mss: 1_000,
      tcpi_options: 0,
    })
    expect(session.end()).toBeNull()
  })

  it('ICMP echo shows that a stack is there: time and bytes of what it answers', () => {
    const packet = {
      protocol: 'icmp',
      source: '192.0.2.7',
      destination: '192.0.2.1',
      type: 8,
      word: 0x10002,
      payload: 'abcd',
    }
    const [, , early, late] = run(
      { cmd: 'advance', ms: 5 },
      { cmd: 'inject', packet },
      { cmd: 'expect', decode: true },
      { cmd: 'expect', count: 1, ms: 10 },
    )
    expect(early).toMatchObject({
      value: 1,
      packets: [{ at: 5_000, fields: { type: 0, word: 0x10002, payload: 'abcd', checksumOk: true } }],
    })
    expect(late).toMatchObject({ ok: false, error: 'missing-packet', at: 15_000, packets: [] })
  })

  it('the seed, the addresses and the clock are settled once the stack has begun, until it is reset', () => {
    const answers = run(
      { cmd: 'config', seed: 7, addresses: ['10.1.1.1/24'] },
      { cmd: 'socket' },
      { cmd: 'config', seed: 8 },
      { cmd: 'reset', seed: 8 },
      { cmd: 'config', mtu: 1_280 },
      { cmd: 'read', fd: 3 },
    )
    expect(answers[0]).toMatchObject({ value: { seed: 7, addresses: ['10.1.1.1/24'] } })
    expect(answers[2]).toMatchObject({ ok: false, error: 'too-late' })
    expect(answers[4]).toMatchObject({ value: { seed: 8, mtu: 1_280, addresses: ['10.1.1.1/24'] } })
    expect(answers[5]).toMatchObject({ errno: 'EBADF' })
  })
})
