// The part of the demo about files: a node serves one, somebody fetches it over a link that loses packets, and every
// byte is compared.

import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { begin, check, NotSo, putnext, putnextJson, tell } from './demo-story.mjs'

const FILE_BYTES = 8 * 1024 * 1024
const NAME = 'photo.raw'
const READY_MS = 10_000
const hasCurl = spawnSync('curl', ['--version']).error === undefined

/**
 * Serves a file from a node while `work` goes on.
 * @param {string} node
 * @param {(folder: string) => Promise<void>} work is given an empty folder
 */
async function serving(node, work) {
  const folder = mkdtempSync(join(tmpdir(), 'putnext-demo-'))
  const served = mkdtempSync(join(tmpdir(), 'putnext-demo-'))
  writeFileSync(join(served, NAME), randomBytes(FILE_BYTES))
  const args = ['serve', node, served]
  tell(`$ putnext ${args.join(' ')} &`)
  const server = begin(args)
  try {
    for (const end = performance.now() + READY_MS; !server.said().includes('is served at'); ) {
      if (server.child.exitCode !== null || performance.now() > end)
        throw new NotSo(`${node} does not serve: ${server.said()}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    await work(folder)
    server.child.kill('SIGINT')
    const { stdout } = await server.end
    tell(`its log: ${stdout.trim()}`)
    same(join(served, NAME), join(folder, NAME))
  } finally {
    server.child.kill('SIGINT')
    await server.end
    for (const one of [folder, served]) rmSync(one, { recursive: true, force: true })
  }
}

/** @param {string} sent @param {string} got */
function same(sent, got) {
  const sha = (/** @type {string} */ path) => createHash('sha256').update(readFileSync(path)).digest('hex')
  const digest = sha(sent)
  check(
    sha(got) === digest,
    `${FILE_BYTES / 1024 / 1024} MiB came, byte for byte: SHA-256 ${digest.slice(0, 16)}…`,
  )
}

/** What TCP of a node has counted so far: segments sent again. @param {string} node */
async function retransmits(node) {
  const { streams } = await putnextJson(['plumb', node, '--all'], { quiet: true })
  /** @type {Record<string, number>[]} */
  const counters = streams.flatMap((/** @type {any} */ { instances }) =>
    instances.map((/** @type {any} */ one) => one.counters),
  )
  return counters.reduce((sum, one) => sum + (one?.['retransmitted-segments'] ?? 0), 0)
}

/**
 * A kernel host fetches from a node.
 * @param {string} host @param {string} node @param {string} address of the node
 */
export async function kernelFetches(host, node, address) {
  await serving(node, async folder => {
    const before = await retransmits(node)
    const file = join(folder, NAME)
    const url = `http://${address}/${NAME}`
    if (!hasCurl) tell('curl is not installed (apt install curl), so a program of Node asks instead')
    const seconds = hasCurl ? await curl(host, url, file) : await nodeFetch(host, url, file)
    const rate = ((FILE_BYTES * 8) / seconds / 1e6).toFixed(0)
    tell(
      `${seconds.toFixed(2)} s, ${rate} Mbit/s; ${(await retransmits(node)) - before} segments were sent again`,
    )
  })
}

/** @param {string} host @param {string} url @param {string} file */
async function curl(host, url, file) {
  const { stdout } = await putnext([
    'lab',
    'exec',
    host,
    '--',
    'curl',
    '-sS',
    '-o',
    file,
    '-w',
    '%{time_total}',
    url,
  ])
  return Number(stdout)
}

/** @param {string} host @param {string} url @param {string} file */
async function nodeFetch(host, url, file) {
  const began = performance.now()
  const script = `fetch('${url}').then(r => r.arrayBuffer()).then(b => fs.writeFileSync('${file}', Buffer.from(b)))`
  await putnext(['lab', 'exec', host, '--', process.execPath, '-e', script])
  return (performance.now() - began) / 1_000
}

/**
 * A node fetches from a node.
 * @param {string} asking @param {string} node @param {string} address of the node
 */
export async function nodeFetches(asking, node, address) {
  await serving(node, async folder => {
    const before = await retransmits(node)
    const file = join(folder, NAME)
    const args = ['curl', asking, `http://${address}/${NAME}`, '-o', file]
    const { seconds } = await putnextJson(args)
    tell(`${seconds.total.toFixed(2)} s; ${(await retransmits(node)) - before} segments were sent again`)
  })
}
