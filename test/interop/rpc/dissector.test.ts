import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  FLAG_INBOUND,
  interfaceBlock,
  PACKET_HEADER_BYTES,
  putPacketBlock,
  sectionBlock,
} from '../../../src/driver/pcapng.ts'
import { analyze } from '../../../src/rpc/idl/analyze.ts'
import { generate } from '../../../src/rpc/idl/generate.ts'

const found = spawnSync('tshark', ['--version']).status === 0
const why = found ? '' : ' (skipped: tshark is not installed)'

const TEXT = `
enum color { RED = 2, BLUE = 5 };
struct node { string name<>; node *next; };
union answer switch (color c) { case RED: hyper big; default: void; };
struct ask { color c; node *list; opaque data<16>; bool b; };
program CALC_PROG { version CALC_V1 { answer ASK(ask) = 1; int SUM(int a, int b) = 2; } = 1; } = 0x20000001;`

const words = (...values: number[]): number[] =>
  values.flatMap(value => [value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255])
const text = (value: string): number[] => {
  const bytes = Buffer.from(value)
  return [...words(bytes.length), ...bytes, ...new Array(-bytes.length & 3).fill(0)]
}
const call = (xid: number, procedure: number, body: number[]): number[] => [
  ...words(xid, 0, 2, 0x20000001, 1, procedure, 0, 0, 0, 0),
  ...body,
]
const reply = (xid: number, body: number[], status = 0): number[] => [
  ...words(xid, 1, 0, 0, 0, status),
  ...body,
]

/** An IPv4 and UDP header in front; the ports are nobody's. */
function datagram(payload: number[], isReply: boolean): Uint8Array {
  const size = payload.length + 28
  const [from, to] = isReply ? [40_002, 40_001] : [40_001, 40_002]
  const ip = [
    0x45,
    0,
    size >> 8,
    size & 255,
    0,
    0,
    0,
    0,
    64,
    17,
    0,
    0,
    10,
    0,
    0,
    isReply ? 2 : 1,
    10,
    0,
    0,
    isReply ? 1 : 2,
  ]
  const udp = [from >> 8, from & 255, to >> 8, to & 255, (size - 20) >> 8, (size - 20) & 255, 0, 0]
  return Uint8Array.from([...ip, ...udp, ...payload])
}

function capture(packets: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(65_536)
  let size = 0
  for (const block of [sectionBlock('rpc'), interfaceBlock('tun0', 65_535)]) {
    bytes.set(block, size)
    size += block.length
  }
  packets.forEach((packet, at) => {
    const fields = {
      interfaceId: 0,
      timeUs: at,
      captured: packet.length,
      original: packet.length,
      flags: FLAG_INBOUND,
      comment: null,
    }
    const end = putPacketBlock(bytes, size, fields)
    bytes.set(packet, size + PACKET_HEADER_BYTES)
    size = end
  })
  return bytes.slice(0, size)
}

describe(`interop/rpc: the dissector in tshark${why}`, () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'putnext-dissector-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it.skipIf(!found)('shows calls and replies with their values, and what is not of the interface', () => {
    const { interface: model } = analyze([{ name: 'calc.x', text: TEXT }])
    const lua = join(directory, 'calc.lua')
    writeFileSync(lua, generate(model!, { file: 'calc.x', wireshark: true }).get('calc.lua')!)
    const ask = [
      ...words(2, 1),
      ...text('first'),
      ...words(1),
      ...text('zweité'),
      ...words(0, 3),
      1,
      2,
      3,
      0,
      ...words(1),
    ]
    const packets = [
      datagram(call(7, 1, ask), false),
      datagram(reply(7, words(2, 0, 42)), true),
      datagram(call(8, 2, words(20, -3)), false),
      datagram(reply(8, words(17)), true),
      datagram(reply(8, [], 5), true),
      datagram(call(9, 1, words(2, 1, 0x7fff_ffff)), false),
    ]
    const file = join(directory, 'calc.pcapng')
    writeFileSync(file, capture(packets))
    const { stdout, stderr } = spawnSync(
      'tshark',
      ['-r', file, '-X', `lua_script:${lua}`, '-V', '-O', 'putnext_calc'],
      { encoding: 'utf8' },
    )
    expect(stderr).not.toMatch(/lua|error/i)
    const shown = stdout.replace(/^ +/gm, '')
    for (const line of [
      'Procedure: ASK',
      'c: RED (2)',
      'name: first',
      'name: zweité',
      'next: none',
      'data: 3 bytes',
      'b: TRUE',
      'big: 42',
      'a: 20',
      'b: -3',
      'result: 17',
      'Accept status: SYSTEM_ERR (5)',
    ])
      expect(shown).toContain(`${line}\n`)
    // The last field of a struct is beside its others; only the rest of a list is beside its entry.
    const indentation = (line: string): number =>
      stdout
        .split('\n')
        .find(each => each.endsWith(line))!
        .search(/\S/)
    expect(indentation('b: TRUE')).toBe(indentation('data: 3 bytes'))
    expect(indentation('name: zweité')).toBe(indentation('name: first'))
    expect(shown).toContain('a length of 2147483647 with 0 bytes left')
  })
})
