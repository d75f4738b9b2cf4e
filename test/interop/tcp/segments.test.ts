/** Odd segments, made with scapy by a host that exists only in packets; the cases are in segment_cases_*.py. */
import { spawnSync } from 'node:child_process'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { lacking, ON_KERNEL, python, TcpSite } from './site.ts'
import { listening, pause } from './traffic.ts'

const SCRIPT = fileURLToPath(new URL('./segments.py', import.meta.url))
const reason = lacking('scapy')

/** Port numbers as segments.py has them. */
const services: Readonly<Record<number, (socket: Socket, site: TcpSite) => void>> = {
  5: dial,
  7: socket => void socket.pipe(socket),
  8: () => {},
  19: socket => void socket.end(Buffer.alloc(1_000_000, 'chargen ')),
  // Ends first, and forgets the connection.
  20: socket => void socket.resume().end('bye', () => pause(300).then(() => socket.destroy())),
  // Ends without reading what came.
  21: socket => void pause(100).then(() => socket.destroy()),
}

/** Connects to where it is told, echoes what comes from there, and answers with the error's name if there is one. */
function dial(control: Socket, site: TcpSite): void {
  control.once('data', data => {
    const [host, port] = data.toString().trim().split(' ')
    const socket = site.net.connect({ host: host!, port: Number(port) })
    socket.on('error', error => control.end((error as NodeJS.ErrnoException).code ?? error.message))
    control.on('close', () => socket.destroy())
    socket.pipe(socket)
  })
}

/** Where Linux has its own way, in {@link ON_KERNEL}: its programs get urgent bytes apart. */
const LINUX_DIFFERS = ['RFC 6093, checklist 38: URG']

/** The cases' names, as the files have them. */
function names(): string[] {
  const list = spawnSync(python, [SCRIPT, '--list'], { encoding: 'utf8' }).stdout
  const all = list.split('\n').filter(line => line !== '')
  return ON_KERNEL ? all.filter(name => !LINUX_DIFFERS.some(start => name.startsWith(start))) : all
}

describe.skipIf(reason !== '')(titled('odd segments', reason), () => {
  const results = new Map<string, string | null>()
  let site: TcpSite

  beforeAll(async () => {
    // Whole packets with all their checksums, as a link would have them.
    const capture = process.env['PUTNEXT_INTEROP_CAPTURE']
    site = await TcpSite.open({
      offload: 'off',
      txqueuelen: 5_000,
      ...(capture === undefined ? {} : { capture }),
    })
    for (const [port, handle] of Object.entries(services)) {
      const options = { allowHalfOpen: Number(port) === 8, pauseOnConnect: [8, 21].includes(Number(port)) }
      const server = site.net.createServer(options, socket =>
        handle(
          socket.on('error', () => {}),
          site,
        ),
      )
      await listening(server, '::', Number(port))
    }
    const only = process.env['PUTNEXT_INTEROP_ONLY']
    const chosen = only === undefined ? [] : [`--only=${only}`]
    const program = site.run(python, [SCRIPT, 'tun0', ...site.linkLayer(), ...chosen])
    const { stdout, stderr } = await program.ended
    for (const line of stdout.split('\n').slice(0, -1)) {
      const { name, wrong } = JSON.parse(line) as { name: string; wrong: string | null }
      results.set(name, wrong)
    }
    if (results.size === 0) throw new Error(stderr)
  }, 90_000)

  afterAll(() => site?.close())

  it.each(reason === '' ? names() : [])('%s', name => {
    expect(results.get(name)).toBe(null)
  })

  it.runIf(!ON_KERNEL)('nothing of it stays', async () => {
    expect(site.counters()['segments-in']).toBeGreaterThan(1_000)
  })
})
