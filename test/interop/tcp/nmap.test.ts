/** What a scanner finds out about our stack: the ports as they are, the services behind them, sequence numbers that tell nothing. */
import { createServer as createHttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { freemsg, M_DATA, type Mblk, type ModuleInfo, putnext } from '../../../src/streams/index.ts'
import { lacking, ON_KERNEL, STACK4, STACK6, TcpSite } from './site.ts'
import { listening } from './traffic.ts'

const reason = lacking('nmap')
const ECHO_PORT = 7
const HTTP_PORT = 80
const SSH_PORT = 22
const MAIL_PORT = 25
const CLOSED_PORT = 81
const FILTERED_PORT = 4_000
const QUICK = ['-n', '-Pn', '-T5', '--reason', '-oX', '-']
const PORTS = [ECHO_PORT, HTTP_PORT, CLOSED_PORT, ...(ON_KERNEL ? [] : [FILTERED_PORT])]

/** A firewall's "drop", pushed on the link. */
const dropPort: ModuleInfo<null> = {
  name: 'drop-port',
  hiwat: 65_536,
  lowat: 16_384,
  open: () => null,
  close: () => {},
  read: {
    put: (q, mp) => {
      if (mp.type === M_DATA && destinationPort(mp) === FILTERED_PORT) freemsg(mp)
      else putnext(q, mp)
    },
  },
  write: { put: putnext },
}

/** Of TCP right behind the IP header; -1 for anything else. */
function destinationPort({ bytes, rptr }: Mblk): number {
  const v4 = bytes[rptr]! >> 4 === 4
  if (bytes[rptr + (v4 ? 9 : 6)] !== 6) return -1
  const at = rptr + (v4 ? (bytes[rptr]! & 15) << 2 : 40) + 2
  return (bytes[at]! << 8) | bytes[at + 1]!
}

describe.skipIf(reason !== '')(titled('nmap', reason), () => {
  let site: TcpSite

  beforeEach(async () => {
    // Without offload the device sees what a link would.
    site = await TcpSite.open({ push: [dropPort], offload: 'off' })
    const http = createHttpServer((_, response) => response.end('<title>stack</title>'))
    const services: Record<number, (socket: Socket) => void> = {
      [ECHO_PORT]: socket => void socket.pipe(socket),
      [HTTP_PORT]: socket => void http.emit('connection', socket),
      // nmap waits six seconds for a service that does not speak first.
      [SSH_PORT]: socket => void socket.write('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u6\r\n'),
      [MAIL_PORT]: socket => void socket.write('220 mail.example ESMTP Postfix (Debian/GNU)\r\n'),
    }
    for (const [port, handle] of Object.entries(services)) {
      const server = site.net.createServer(socket => handle(socket.on('error', () => {})))
      await listening(server, '::', Number(port))
    }
  })

  afterEach(() => site?.close())

  /** @returns the report as XML */
  async function scan(...args: string[]): Promise<string> {
    return (await site.run('nmap', ['-p', PORTS.join(), ...QUICK, ...args]).succeeds()).stdout
  }

  const states = (xml: string): string[] =>
    [...xml.matchAll(/portid="(\d+)"><state state="(\w+)" reason="([\w-]+)"/g)].map(found =>
      found.slice(1).join(' '),
    )

  const expected = [
    `${ECHO_PORT} open syn-ack`,
    `${HTTP_PORT} open syn-ack`,
    `${CLOSED_PORT} closed reset`,
    ...(ON_KERNEL ? [] : [`${FILTERED_PORT} filtered no-response`]),
  ]

  it('-sS tells open, closed and filtered ports rightly (IPv4)', async () => {
    expect(states(await scan('-sS', STACK4))).toEqual(expected)
  })

  it('-sS tells open, closed and filtered ports rightly (IPv6)', async () => {
    expect(states(await scan('-6', '-sS', STACK6))).toEqual(expected)
  })

  it.each([
    // RFC 9293 §3.10.7.1 and .2: a closed port resets these, a listening one is silent.
    { scan: '-sF', open: 'open|filtered no-response' },
    { scan: '-sN', open: 'open|filtered no-response' },
    { scan: '-sX', open: 'open|filtered no-response' },
    // An ACK is reset by both.
    { scan: '-sA', open: 'unfiltered reset' },
    { scan: '-sM', open: 'closed reset' },
  ])('$scan finds what RFC 9293 says', async ({ scan: kind, open }) => {
    const xml = await scan(kind, STACK4)
    const found = [...xml.matchAll(/portid="(\d+)"><state state="([\w|]+)" reason="([\w-]+)"/g)]
    const closedState = kind === '-sA' ? 'unfiltered reset' : 'closed reset'
    expect(found.slice(0, 3).map(each => `${each[2]} ${each[3]}`)).toEqual([open, open, closedState])
  })

  it('-sV knows the services', async () => {
    const ports = ['-p', `${SSH_PORT},${MAIL_PORT},${CLOSED_PORT}`]
    const { stdout: xml } = await site.run('nmap', ['-sV', ...ports, ...QUICK, STACK4]).succeeds()
    expect(xml).toMatch(
      new RegExp(`portid="${SSH_PORT}">.*<service name="ssh" product="OpenSSH" version="9.2p1`),
    )
    expect(xml).toMatch(new RegExp(`portid="${MAIL_PORT}">.*<service name="smtp" product="Postfix`))
  })

  it('RFC 6528: -O finds sequence numbers that cannot be guessed', async () => {
    const xml = await scan('-O', STACK4)
    const sequence = /<tcpsequence index="(\d+)" difficulty="([^"]*)" values="([^"]*)"/.exec(xml)
    expect(sequence?.[2]).toBe('Good luck!')
    // What "truly random" is called since nmap's second generation; Linux has some 260.
    expect(Number(sequence?.[1])).toBeGreaterThan(220)
    expect(new Set(sequence?.[3]?.split(',')).size).toBe(6)
  })
})
