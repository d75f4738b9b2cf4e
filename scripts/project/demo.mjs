// The story of scripts/demo. It uses only what a user has: the putnext command, and the kernel's own programs.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kernelFetches, nodeFetches } from './demo-files.mjs'
import { begin, chapter, check, endChildren, NotSo, putnext, putnextJson, tell } from './demo-story.mjs'

const HELP = `usage: scripts/demo [--inproc]

Brings up real nodes in Linux namespaces, lets the kernel's ping, curl and UDP programs talk to them and the nodes to each
other, makes a link bad and good again, kills a node and starts it, and takes everything down. Under a minute; asks nothing;
leaves nothing, also after Ctrl-C. Without root it uses a user namespace where that is possible, else one process.

  --inproc   in one process, as where nothing is permitted
  --help     this text
`
const INETD = 'docs/examples/labs/inetd.yaml'
const PAIR = 'docs/examples/labs/pair.yaml'
const NOT_PERMITTED = 77
const hasPing = spawnSync('ping', ['-V']).error === undefined
const hasTshark = spawnSync('tshark', ['-v']).error === undefined

/**
 * Echo requests from the kernel in a node's namespace.
 * @param {string} node @param {string} address @param {number} count
 */
async function kernelPing(node, address, count) {
  const how = count > 50 ? ['-f'] : ['-i', '0.2']
  const args = ['lab', 'exec', node, '--', 'ping', '-q', ...how, '-c', String(count), '-W', '1', address]
  const { stdout, stderr } = await putnext(args, { mayFail: true })
  if (stderr !== '') tell(stderr.trimEnd())
  const received = Number(/(\d+) received/.exec(stdout)?.[1] ?? 0)
  const rtt = /= [\d.]+\/([\d.]+)\//.exec(stdout)?.[1] ?? '?'
  return { received, rttMs: rtt }
}

/** @param {string} node @param {string} address @param {number} count */
async function provePing(node, address, count) {
  if (!hasPing) {
    tell('ping is not installed (apt install iputils-ping), so a UDP program asks instead')
    return proveEcho(node, address, count)
  }
  const { received, rttMs } = await kernelPing(node, address, count)
  check(
    received === count,
    `${address} answered ${received} of ${count} echo requests of the kernel, ${rttMs} ms each`,
  )
}

/** @param {string} node @param {string} address @param {number} count */
async function proveEcho(node, address, count) {
  const args = [
    'lab',
    'exec',
    node,
    '--',
    'node',
    'scripts/project/udp-echo.mjs',
    address,
    '7',
    String(count),
  ]
  const { stdout } = await putnext(args)
  const { received, p50us } = JSON.parse(stdout)
  check(
    received === count,
    `${received} of ${count} datagrams came back from port 7 of ${address}, p50 ${p50us} µs`,
  )
}

/**
 * Echo requests from a node's own stack.
 * @param {string} node @param {string} address @param {number} count @param {string} [patience] for each answer
 */
async function stackPing(node, address, count, patience = '500ms') {
  const args = ['ping', node, address, '-c', String(count), '-i', '20ms', '-W', patience]
  const { summary } = await putnextJson(args, { mayFail: true })
  return summary
}

/** @param {string} node @param {string} address @param {number} count */
async function proveStackPing(node, address, count) {
  const { received, rtt } = await stackPing(node, address, count)
  check(
    received === count,
    `${node} reached ${address}: ${received} of ${count}, ${rtt?.avg.toFixed(3)} ms each`,
  )
}

async function oneNode() {
  chapter('One node with its own network stack, in the namespace inetd-n1')
  await putnext(['lab', 'up', INETD])
  tell(
    'A process of Node.js opened a TUN device there. The kernel is 10.77.1.1, the stack in JavaScript 10.77.1.2.',
  )

  chapter("The kernel's ping talks to it")
  await provePing('inetd/n1', '10.77.1.2', 2_000)
  await provePing('inetd/n1', 'fd77:1::2', 2_000)

  chapter('A UDP program on kernel sockets uses its echo service')
  await proveEcho('inetd/n1', '10.77.1.2', 500)
  await proveEcho('inetd/n1', 'fd77:1::2', 500)

  chapter('What the node has counted')
  await counters('inetd/n1')
  const copied = await copiedBytes('inetd/n1')
  tell(`bytes copied by the kernel, between the device and the arena: ${copied.kernel}`)
  check(
    copied.stack === 0 && copied.edge === 0,
    'bytes copied in user space, from the device to the service and back: 0',
  )

  chapter('A capture at a joint of the plumbing')
  await capture('inetd/n1')
  await putnext(['lab', 'down', 'inetd'])
}

/** @param {string} node */
async function counters(node) {
  const { stdout } = await putnext(['plumb', node])
  tell(stdout.trimEnd())
}

/** What its control port tells, as it tells any monitoring. @param {string} node */
async function copiedBytes(node) {
  const { labs } = await putnextJson(['lab', 'status', node.split('/')[0] ?? ''], { quiet: true })
  const socketPath = labs[0].nodes[0].control
  tell(`$ curl --unix-socket ${socketPath} http://n1/metrics`)
  /** @type {string} */
  const text = await new Promise((settle, reject) => {
    const asked = get({ socketPath, path: '/metrics' }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', chunk => {
        body += chunk
      })
      answer.on('end', () => settle(body))
    })
    asked.on('error', reject)
  })
  /** @param {string} place */
  const at = place =>
    Number(new RegExp(`^putnext_copied_bytes_total\\{place="${place}"\\} (\\d+)$`, 'm').exec(text)?.[1])
  return { stack: at('stack'), edge: at('edge'), kernel: at('kernel') }
}

/** @param {string} node */
async function capture(node) {
  const folder = mkdtempSync(join(tmpdir(), 'putnext-demo-'))
  try {
    const file = join(folder, 'n1.pcapng')
    const args = ['capture', node, '-w', file, '--seconds', '2']
    tell(`$ putnext ${args.join(' ')} &`)
    const recording = begin(args)
    await new Promise(resolve => setTimeout(resolve, 500))
    await proveEcho(node, '10.77.1.2', 3)
    const { code, stderr } = await recording.end
    if (code !== 0) throw new NotSo(`the capture ended with ${code}: ${stderr}`)
    check(statSync(file).size > 500, `a pcapng file of ${statSync(file).size} bytes`)
    if (!hasTshark) return
    const shown = spawnSync('tshark', ['-r', file, '-Y', 'udp'], { encoding: 'utf8' }).stdout.trimEnd()
    check(shown.split('\n').length >= 6, 'tshark reads it:')
    tell(shown)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function twoNodes() {
  chapter('Two nodes joined by a wire, and a host of the kernel: n1 -- n2 -- host')
  await putnext(['lab', 'up', PAIR])
  tell((await putnext(['lab', 'status', 'pair'])).stdout.trimEnd())

  chapter('The nodes talk to each other, over two TUN devices and the wire')
  await proveStackPing('pair/n1', '10.77.2.2', 20)
  await proveStackPing('pair/n2', 'fd77:1::2', 20)

  chapter('The kernel host and the nodes talk to each other')
  await provePing('pair/host', '10.77.1.2', 500)
  await provePing('pair/host', 'fd77:2::2', 500)
  await proveEcho('pair/host', '10.77.2.2', 200)
  await proveStackPing('pair/n1', '10.77.3.2', 20)

  chapter('The wire gets bad while all of them run')
  await putnext(['lab', 'fault', 'impair', 'n1--n2', '--delay', '10ms'])
  const slow = await stackPing('pair/n1', '10.77.2.2', 10)
  check(slow.rtt?.min >= 19, `10 ms each way: a round trip takes ${slow.rtt?.avg.toFixed(1)} ms`)
  await putnext(['lab', 'fault', 'impair', 'n1--n2', '--loss', '40%'])
  const lossy = await stackPing('pair/n1', '10.77.2.2', 60, '60ms')
  check(lossy.received > 0 && lossy.received < 60, `40 % loss each way: ${lossy.received} of 60 come back`)
  await putnext(['lab', 'fault', 'clear', 'n1--n2'])
  await proveStackPing('pair/n1', '10.77.2.2', 20)

  chapter("The kernel's curl fetches a file from a node, over a wire that loses one packet in a hundred")
  await putnext(['lab', 'fault', 'impair', 'n1--n2', '--loss', '1%', '--delay', '1ms'])
  await kernelFetches('pair/host', 'pair/n1', '10.77.1.2')
  await putnext(['lab', 'fault', 'clear', 'n1--n2'])

  chapter('A wire is cut, a node is killed, and both come back')
  await putnext(['lab', 'fault', 'down', 'n2--host'])
  const cut = await stackPing('pair/n2', '10.77.3.2', 3, '100ms')
  check(cut.received === 0, 'the host is not reached over a cut wire')
  await putnext(['lab', 'fault', 'up', 'n2--host'])
  await putnext(['lab', 'fault', 'restart', 'pair/n2'])
  await proveStackPing('pair/n2', '10.77.3.2', 20)

  chapter('Everything goes')
  await putnext(['lab', 'down', 'pair'])
  await nothingLeft()
}

async function nothingLeft() {
  const { labs } = await putnextJson(['lab', 'status'])
  const names = labs.map((/** @type {{ name: string }} */ lab) => lab.name)
  check(!names.includes('pair') && !names.includes('inetd'), 'no lab of the demo is left')
  const left = ['inetd-n1', 'pair-n1', 'pair-n2', 'pair-host'].filter(name =>
    existsSync(`/run/netns/${name}`),
  )
  check(left.length === 0, 'no namespace of the demo is left')
}

/** @param {string} why */
async function inOneProcess(why) {
  tell(why)
  chapter('Two nodes and a third in the place of the kernel host, in one process, joined by wires')
  const lab = begin(['lab', 'up', '--mode', 'inproc', PAIR])
  tell(`$ putnext lab up --mode inproc ${PAIR} &`)
  const deadline = performance.now() + 15_000
  while (!lab.said().includes('is up')) {
    if (lab.child.exitCode !== null || performance.now() > deadline)
      throw new NotSo(`the lab does not come up: ${lab.said()}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  tell((await putnext(['lab', 'status', 'pair'])).stdout.trimEnd())

  chapter('They talk to each other')
  await proveStackPing('pair/n1', '10.77.2.2', 20)
  await proveStackPing('pair/n1', 'fd77:3::2', 20)
  await proveStackPing('pair/host', '10.77.1.2', 20)

  chapter('A wire gets bad')
  await putnext(['plumb', 'pair/n1', 'push', 'eth0', 'impair', 'delay=10ms'])
  const slow = await stackPing('pair/n1', '10.77.2.2', 10)
  check(slow.rtt?.min >= 19, `10 ms out and 10 ms in: a round trip takes ${slow.rtt?.avg.toFixed(1)} ms`)

  chapter('A file over a wire that is slow and loses one packet in a hundred')
  await putnext(['plumb', 'pair/n1', 'set', 'eth0', 'impair', 'delay=1ms', 'loss=1%'])
  await nodeFetches('pair/n2', 'pair/n1', '10.77.1.2')

  chapter('What a node has counted')
  await counters('pair/n1')

  chapter('Everything goes')
  lab.child.kill('SIGINT')
  await lab.end
  await nothingLeft()
}

/** Labs of the demo, however far they came; not those that were there before it. */
async function cleanUp() {
  endChildren()
  for (const lab of ours) {
    const { code, stderr } = await putnext(['lab', 'down', lab], { mayFail: true, quiet: true })
    if (code !== 0 && !stderr.includes('there is no lab')) console.error(stderr)
  }
}

/** @type {Set<string>} */
const ours = new Set()

/** @returns {Promise<string>} why there is only the one process, '' if namespaces are to be had */
async function whyNoNamespaces() {
  const { stdout } = await putnext(['lab', 'up', INETD, '--json'], { mayFail: true, quiet: true })
  const answer = JSON.parse(stdout.trim().split('\n').at(-1) || '{}')
  if (answer.exitCode === NOT_PERMITTED) return `${answer.error.message}\nremedy: ${answer.error.hint}`
  if (answer.result?.result === 'up') await putnext(['lab', 'down', 'inetd'], { quiet: true })
  return ''
}

async function main() {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP)
    return
  }
  const unknown = args.find(arg => arg !== '--inproc')
  if (unknown !== undefined) {
    process.stderr.write(`scripts/demo: there is no option ${unknown}\n${HELP}`)
    process.exitCode = 2
    return
  }
  // What an earlier run left that was killed.
  await putnext(['lab', 'prune'], { mayFail: true, quiet: true })
  const { labs } = await putnextJson(['lab', 'status'], { mayFail: true, quiet: true })
  const busy = labs.map((/** @type {{ name: string }} */ lab) => lab.name).filter(nameOfDemo)
  if (busy.length > 0)
    throw new NotSo(`a lab ${busy[0]} is up; take it down first: putnext lab down ${busy[0]}`)
  ours.add('inetd').add('pair')
  console.log('Putnext: a network stack in JavaScript, and the kernel as its neighbour')
  const why = args.includes('--inproc') ? 'in one process, as you asked' : await whyNoNamespaces()
  if (why !== '') await inOneProcess(why)
  else {
    await oneNode()
    await twoNodes()
  }
  console.log(`\nAll of it worked, in ${(performance.now() / 1_000).toFixed(1)} s.`)
}

/** @param {string} name */
function nameOfDemo(name) {
  return name === 'inetd' || name === 'pair'
}

let interrupted = false
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(signal, () => {
    if (interrupted) return
    interrupted = true
    console.error('\ninterrupted: cleaning up')
    cleanUp().finally(() => process.exit(130))
  })
}

try {
  await main()
} catch (error) {
  if (!interrupted) {
    console.error(
      `\nThe demo failed: ${error instanceof NotSo ? error.message : /** @type {Error} */ (error).stack}`,
    )
    await cleanUp()
    process.exitCode = 1
  } else await new Promise(() => {})
}
