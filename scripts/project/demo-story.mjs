// How the demo tells what it does: numbered chapters, indented figures, and every claim checked where it is made.

import { spawn } from 'node:child_process'
import { styleText } from 'node:util'

const CLI = 'dist/cli/main.js'
const colors = process.stdout.isTTY === true && !process.env['NO_COLOR']
const start = performance.now()
let chapters = 0

/** @param {Parameters<typeof styleText>[0]} style @param {string} text */
function paint(style, text) {
  return colors ? styleText(style, text) : text
}

/** @param {string} title */
export function chapter(title) {
  const seconds = ((performance.now() - start) / 1_000).toFixed(1)
  console.log(`\n${paint('bold', `${++chapters}. ${title}`)}  ${paint('gray', `[${seconds} s]`)}`)
}

/** @param {string} text */
export function tell(text) {
  for (const line of text.split('\n')) console.log(`   ${line}`)
}

/** A claim that did not hold: the demo fails, saying which. */
export class NotSo extends Error {}

/** @param {boolean} holds @param {string} claim */
export function check(holds, claim) {
  if (!holds) throw new NotSo(`this should hold, and does not: ${claim}`)
  console.log(`   ${paint('green', 'ok')}  ${claim}`)
}

/**
 * @typedef {object} Ended
 * @property {number} code
 * @property {string} stdout
 * @property {string} stderr
 */

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set()

/** Ends whatever the demo has started and is not done. */
export function endChildren() {
  for (const child of children) child.kill('SIGTERM')
}

/**
 * Starts a putnext command and does not wait for it.
 * @param {readonly string[]} args
 */
export function begin(args) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  const ended = { code: -1, stdout: '', stderr: '' }
  child.stdout.on('data', chunk => {
    ended.stdout += chunk
  })
  child.stderr.on('data', chunk => {
    ended.stderr += chunk
  })
  /** @type {Promise<Ended>} */
  const end = new Promise((settle, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      children.delete(child)
      settle({ ...ended, code: code ?? -1 })
    })
  })
  return { child, end, said: () => ended.stderr }
}

/**
 * Runs a putnext command; shows it, so that the reader can do the same.
 * @param {readonly string[]} args
 * @param {{ quiet?: boolean, mayFail?: boolean }} [options]
 * @returns {Promise<Ended>}
 */
export async function putnext(args, options = {}) {
  if (!options.quiet) tell(paint('cyan', `$ putnext ${args.join(' ')}`))
  const ended = await begin(args).end
  if (ended.code !== 0 && !options.mayFail) {
    throw new NotSo(`putnext ${args.join(' ')} ended with ${ended.code}:\n${ended.stdout}${ended.stderr}`)
  }
  return ended
}

/**
 * The result of a command as JSON.
 * @param {readonly string[]} args
 * @param {{ quiet?: boolean, mayFail?: boolean }} [options]
 * @returns {Promise<any>}
 */
export async function putnextJson(args, options = {}) {
  if (!options.quiet) tell(paint('cyan', `$ putnext ${args.join(' ')}`))
  const dashes = args.indexOf('--')
  const at = dashes < 0 ? args.length : dashes
  const { stdout } = await putnext([...args.slice(0, at), '--json', ...args.slice(at)], {
    ...options,
    quiet: true,
  })
  return JSON.parse(stdout).result
}
