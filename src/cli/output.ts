/**
 * What a command says: data on stdout, talk on stderr. With `--json` there is exactly one document on stdout,
 * an envelope that says how it went, written when the command has ended.
 */
import { styleText } from 'node:util'
import type { CommandHost } from './command.ts'
import { EXIT_CHECK_FAILED, EXIT_CODES, EXIT_INTERRUPTED } from './exit-codes.ts'

/** Version of the JSON envelope and of the documents in it. */
export const JSON_VERSION = 1

export interface OutputSettings {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly noColor: boolean
}

/** A format of `util.styleText`. */
export type Style = Parameters<typeof styleText>[0]

/** The error of a command, as JSON documents and the control port tell it. */
export interface ErrorDocument {
  readonly code: string
  readonly message: string
  readonly hint?: string
}

/** Whether a stream gets colours: flag, then environment, then whether it is a terminal. */
export function wantsColor(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
  noColor: boolean,
): boolean {
  if (noColor || (env['NO_COLOR'] ?? '') !== '') return false
  const force = env['FORCE_COLOR']
  if (force !== undefined) return force !== '0' && force !== 'false'
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}

export class Output {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  private readonly host: CommandHost
  private readonly colorData: boolean
  private readonly colorTalk: boolean
  private readonly live: boolean
  private document: { readonly value: unknown } | null = null
  private liveText = ''
  private handedOver = false
  private failure: ErrorDocument | null = null

  constructor(host: CommandHost, settings: OutputSettings) {
    this.host = host
    this.json = settings.json
    this.quiet = settings.quiet
    this.verbose = settings.verbose
    this.colorData = wantsColor(host.stdout, host.env, settings.noColor)
    this.colorTalk = wantsColor(host.stderr, host.env, settings.noColor)
    this.live = host.stderr.isTTY === true && host.env['TERM'] !== 'dumb' && (host.env['CI'] ?? '') === ''
  }

  // ---- data

  /** Data for people; nothing with `--json`. */
  line(text = ''): void {
    if (this.json) return
    this.clearLive()
    this.host.stdout.write(`${text}\n`)
  }

  /**
   * The result of the command.
   * @param value - the JSON document; what a program reads
   * @param text - the same for people
   */
  report(value: unknown, text?: string | (() => string)): void {
    this.document = { value }
    if (text === undefined) return
    const shown = typeof text === 'string' ? text : this.json ? '' : text()
    if (shown !== '') this.line(shown)
  }

  /** One of many results, of a command that `streams`: a line of JSON, or of text. */
  record(value: unknown, text: string): void {
    if (this.json) this.host.stdout.write(`${JSON.stringify(value)}\n`)
    else this.line(text)
  }

  /** Raw bytes on stdout, as a capture. @returns when there is room for more */
  bytes(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.host.stdout.write(chunk, error => (error ? reject(error) : resolve()))
    })
  }

  // ---- talk

  /** Something worth knowing, on stderr; nothing with `--quiet`. */
  note(text: string): void {
    if (!this.quiet) this.talk(text)
  }

  /** Only with `--verbose`. */
  detail(text: string): void {
    if (this.verbose && !this.quiet) this.talk(text)
  }

  warn(text: string): void {
    this.talk(`${this.styleTalk('yellow', 'warning:')} ${text}`)
  }

  /**
   * What is going on now: on a terminal it is drawn over by the next one, elsewhere each is a line. End with
   * {@link progressDone}.
   */
  progress(text: string): void {
    if (this.quiet) return
    if (!this.live) {
      this.host.stderr.write(`${text}\n`)
      return
    }
    this.liveText = text
    this.host.stderr.write(`\r\x1b[K${text}`)
  }

  /** Clears the live line, and leaves `text` in its place if there is one. */
  progressDone(text?: string): void {
    this.clearLive()
    if (text !== undefined) this.note(text)
  }

  /** Text for stdout, in colour if stdout has any. */
  style(style: Style, text: string): string {
    return this.colorData ? paint(style, text) : text
  }

  /** Text for stderr, in colour if stderr has any. */
  styleTalk(style: Style, text: string): string {
    return this.colorTalk ? paint(style, text) : text
  }

  private talk(text: string): void {
    this.clearLive()
    this.host.stderr.write(`${text}\n`)
  }

  private clearLive(): void {
    if (this.liveText === '') return
    this.liveText = ''
    this.host.stderr.write('\r\x1b[K')
  }

  /** Why a command that has a result ends with another exit code than 0: the JSON document has both. */
  failed(error: ErrorDocument): void {
    this.failure = error
  }

  /** The same command runs once more in another process, which writes the JSON document. */
  handOver(): void {
    this.handedOver = true
  }

  // ---- the end, by the program

  /** Tells an error to people, on stderr. */
  error(error: ErrorDocument): void {
    this.talk(`${this.styleTalk('red', 'putnext:')} ${error.message}`)
    if (error.hint !== undefined) this.talk(`  ${this.styleTalk('cyan', 'hint:')} ${error.hint}`)
  }

  /** Writes the JSON document, once, if `--json` was given. */
  finish(command: string, exitCode: number, streams: boolean, error?: ErrorDocument): void {
    this.clearLive()
    const told = error ?? (exitCode === 0 ? null : (this.failure ?? endedWith(exitCode)))
    if (!this.json || this.handedOver || (streams && error === undefined && this.document === null)) return
    const envelope = {
      version: JSON_VERSION,
      command,
      ok: exitCode === 0,
      exitCode,
      ...(this.document === null ? {} : { result: this.document.value }),
      ...(told === null ? {} : { error: told }),
    }
    const spaces = this.host.stdout.isTTY === true && !streams ? 2 : 0
    this.host.stdout.write(`${JSON.stringify(envelope, null, spaces)}\n`)
  }
}

/** The error of a command that did what it was asked, and ends with another exit code than 0. */
function endedWith(exitCode: number): ErrorDocument {
  const message = EXIT_CODES.find(([code]) => code === exitCode)?.[1] ?? `exit code ${exitCode}`
  if (exitCode === EXIT_INTERRUPTED) return { code: 'ERR_INTERRUPTED', message }
  return { code: exitCode === EXIT_CHECK_FAILED ? 'ERR_CHECK_FAILED' : 'ERR_FAILED', message }
}

function paint(style: Style, text: string): string {
  return styleText(style, text, { validateStream: false })
}
