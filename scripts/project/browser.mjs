// A headless Chromium, driven over its DevTools protocol: enough to open a page, ask it things and take its picture.

import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const START_TIMEOUT_MS = 30_000
const CALL_TIMEOUT_MS = 30_000

/** @returns {string | null} where a Chromium is, if there is one */
export function findChromium() {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  for (const path of NAMES.flatMap(name => folders.map(folder => join(folder, name)))) {
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not this one.
    }
  }
  return null
}

/**
 * @typedef {object} Viewport
 * @property {number} width
 * @property {number} height
 * @property {number} [scale] device pixels for each of the page's
 *
 * @typedef {{ x: number, y: number, width: number, height: number }} Clip in the page's pixels
 * @typedef {{ id?: number, method?: string, result?: any, error?: { message: string } }} Message
 */

/** One page of one browser, which ends with it. */
export class Browser {
  /** @type {import('node:child_process').ChildProcess} */
  #child
  /** @type {string} */
  #profile
  /** @type {WebSocket} */
  #socket
  #lastId = 0
  /** @type {Map<number, (message: Message) => void>} */
  #waiting = new Map()
  /** @type {((method: string) => void)[]} */
  #listeners = []
  /** What the page asked the network for, beside itself: addresses. @type {string[]} */
  requests = []

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {string} profile
   * @param {WebSocket} socket
   */
  constructor(child, profile, socket) {
    this.#child = child
    this.#profile = profile
    this.#socket = socket
    socket.on('message', data => this.#take(JSON.parse(String(data))))
  }

  /** @param {string} program of {@link findChromium} */
  static async start(program) {
    const profile = mkdtempSync(join(tmpdir(), 'putnext-browser-'))
    const child = spawn(
      program,
      [
        '--headless',
        // The pages are our own; the sandbox needs privileges that a container does not give.
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--hide-scrollbars',
        '--no-first-run',
        '--disable-background-networking',
        '--remote-debugging-port=0',
        `--user-data-dir=${profile}`,
        'about:blank',
      ],
      { stdio: 'ignore' },
    )
    try {
      const port = await portOf(profile, child)
      const answer = await fetch(`http://127.0.0.1:${port}/json/list`)
      const targets = /** @type {{ type: string, webSocketDebuggerUrl: string }[]} */ (await answer.json())
      const page = targets.find(({ type }) => type === 'page')
      if (page === undefined) throw new Error('the browser has no page')
      const socket = new WebSocket(page.webSocketDebuggerUrl, { maxPayload: 256 * 1024 * 1024 })
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
      const browser = new Browser(child, profile, socket)
      await browser.call('Page.enable')
      await browser.call('Network.enable')
      return browser
    } catch (error) {
      await end(child, profile)
      throw error
    }
  }

  /**
   * @param {string} method of the DevTools protocol
   * @param {object} [params]
   * @returns {Promise<any>}
   */
  call(method, params = {}) {
    const id = ++this.#lastId
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`${method}: no answer`))
      }, CALL_TIMEOUT_MS)
      this.#waiting.set(id, ({ result, error }) => {
        clearTimeout(timer)
        if (error === undefined) resolve(result)
        else reject(new Error(`${method}: ${error.message}`))
      })
    })
    this.#socket.send(JSON.stringify({ id, method, params }))
    return answer
  }

  /** @param {Message & { params?: any }} message */
  #take(message) {
    if (message.id !== undefined) {
      const done = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      done?.(message)
      return
    }
    if (message.method === 'Network.requestWillBeSent') this.requests.push(message.params.request.url)
    for (const listener of this.#listeners) listener(message.method ?? '')
  }

  /** Opens an address, and waits until it is loaded. @param {string} url */
  async open(url) {
    this.requests.length = 0
    /** @type {Promise<void>} */
    const loaded = new Promise(resolve => {
      const listener = (/** @type {string} */ method) => {
        if (method !== 'Page.loadEventFired') return
        this.#listeners.splice(this.#listeners.indexOf(listener), 1)
        resolve()
      }
      this.#listeners.push(listener)
    })
    await this.call('Page.navigate', { url })
    await loaded
  }

  /**
   * How the page is looked at.
   * @param {Viewport} viewport
   * @param {{ dark?: boolean, print?: boolean }} [how]
   */
  async show({ width, height, scale = 1 }, { dark = false, print = false } = {}) {
    await this.call('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: scale,
      mobile: false,
    })
    await this.call('Emulation.setEmulatedMedia', {
      media: print ? 'print' : 'screen',
      features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }],
    })
  }

  /**
   * @param {string} expression in the page
   * @returns {Promise<any>} its value, as JSON carries it
   */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }

  /** @param {Clip} [clip] the viewport without it @returns {Promise<Buffer>} PNG */
  async picture(clip) {
    const { data } = await this.call('Page.captureScreenshot', {
      format: 'png',
      captureBeyondViewport: true,
      ...(clip === undefined ? {} : { clip: { ...clip, scale: 1 } }),
    })
    return Buffer.from(data, 'base64')
  }

  /** @returns {Promise<Buffer>} PDF, on A4 */
  async print() {
    const { data } = await this.call('Page.printToPDF', {
      paperWidth: 8.27,
      paperHeight: 11.69,
      preferCSSPageSize: true,
    })
    return Buffer.from(data, 'base64')
  }

  async close() {
    this.#socket.close(1000, 'done')
    await end(this.#child, this.#profile)
  }
}

/**
 * The port is in a file of the profile as soon as somebody listens there.
 * @param {string} profile
 * @param {import('node:child_process').ChildProcess} child
 */
async function portOf(profile, child) {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (Date.now() < deadline && child.exitCode === null) {
    try {
      const [port] = readFileSync(join(profile, 'DevToolsActivePort'), 'utf8').split('\n')
      if (port !== undefined && port !== '') return Number(port)
    } catch {
      // Not yet.
    }
    await sleep(50)
  }
  throw new Error('the browser does not start')
}

/** @param {import('node:child_process').ChildProcess} child @param {string} profile */
async function end(child, profile) {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }
  rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
}
