/** `putnext plumb`: the modules of a live node, shown and changed. */
import { resolve } from 'node:path'
import { StackError } from '../base/errors.ts'
import type { ControlClient, PlumbingView } from '../node/control-client.ts'
import type { PlumbingRequest } from '../node/control-requests.ts'
import { didYouMean } from '../node/did-you-mean.ts'
import type { InstanceView, StreamView } from '../node/plumbing.ts'
import type { CommandRun, Invocation } from './command.ts'
import { UsageError } from './exit-codes.ts'
import { nodeClient } from './node-target.ts'
import type { Output } from './output.ts'
import { showTcpSettings, TCP_STREAM } from './plumb-settings.ts'

/** Characters of a module's settings that a line of the tree shows. */
const SETTINGS_MAX = 100

const ACTIONS = ['show', 'push', 'insert', 'set', 'remove', 'pop', 'ioctl', 'modules'] as const
type Action = (typeof ACTIONS)[number]

export const plumb: CommandRun = async invocation => {
  const { args, out } = invocation
  const action = args.optional('ACTION') ?? 'show'
  if (!isAction(action)) throw new UsageError(`plumb knows no "${action}"`, didYouMean(action, ACTIONS))
  const words = args.list('WORDS')
  const client = nodeClient(invocation)
  if (action === 'show') return show(invocation, client, words)
  if (action === 'modules') {
    const { modules } = await client.plumbing()
    return out.report({ modules }, modules.join('\n'))
  }
  if (action === 'set' && words.length === 1 && words[0] === TCP_STREAM) return showTcpSettings(client, out)
  const request = await requestOf(action, words, args.string('below'), client)
  const { stream, answer } = await client.change(request)
  if (stream === undefined) return out.report({ answer }, JSON.stringify(answer, null, 2))
  const changed = driverLine(stream, request)
  out.report({ stream }, changed ?? streamLines(out, stream, null).join('\n'))
}

/** What a driver's settings are now, of those that were changed: the tree does not show them, since there are many. */
function driverLine(stream: StreamView, request: PlumbingRequest): string | null {
  if (request.op !== 'configure') return null
  const told = stream.instances.find(
    ({ kind, label }) => kind === 'driver' && label === request.module,
  )?.settings
  const now = (told as { settings?: Record<string, unknown> } | null | undefined)?.settings ?? {}
  const changed = Object.keys((request.options ?? {}) as object).filter(name => name in now)
  if (changed.length === 0) return null
  return `${stream.name}: now ${changed.map(name => `${name}=${String(now[name])}`).join(' ')}`
}

const isAction = (word: string): word is Action => (ACTIONS as readonly string[]).includes(word)

/** How the words of an action are written, for messages. */
const FORMS: Readonly<Record<Exclude<Action, 'show' | 'modules'>, string>> = {
  push: 'push LINK MODULE [KEY=VALUE...]',
  insert: 'insert LINK MODULE [KEY=VALUE...] --below LABEL',
  set: 'set LINK [LABEL] KEY=VALUE...; set tcp alone shows all settings of TCP',
  remove: 'remove LINK LABEL',
  pop: 'pop LINK',
  ioctl: 'ioctl LINK COMMAND [JSON]',
}

async function requestOf(
  action: Exclude<Action, 'show' | 'modules'>,
  words: readonly string[],
  below: string | undefined,
  client: ControlClient,
): Promise<PlumbingRequest> {
  const [stream, second, ...rest] = words
  const misused = (): never => {
    throw new UsageError(
      `plumb ${action}: a word is missing, or one is too many`,
      `write: putnext plumb NODE ${FORMS[action]}`,
    )
  }
  if (stream === undefined) return misused()
  if (action === 'pop') return second === undefined ? { op: 'pop', stream } : misused()
  if (second === undefined) return misused()
  switch (action) {
    case 'push':
      return { op: 'push', stream, module: await moduleName(second, client), ...optionsOf(rest) }
    case 'insert':
      if (below === undefined) return misused()
      return { op: 'insert', stream, module: await moduleName(second, client), below, ...optionsOf(rest) }
    case 'set':
      // A stream of one driver, as tcp, goes by its name alone.
      if (second.includes('='))
        return {
          op: 'configure',
          stream,
          module: stream,
          options: optionsOf([second, ...rest]).options,
        }
      if (rest.length === 0) return misused()
      return { op: 'configure', stream, module: second, options: optionsOf(rest).options }
    case 'remove':
      return rest.length === 0 ? { op: 'remove', stream, module: second } : misused()
    case 'ioctl':
      if (rest.length > 1) return misused()
      return {
        op: 'ioctl',
        stream,
        command: second,
        ...(rest[0] === undefined ? {} : { argument: jsonOf(rest[0]) }),
      }
  }
}

/** A module by its name; one that is written as a file is loaded into the node first. */
async function moduleName(word: string, client: ControlClient): Promise<string> {
  if (!word.includes('/') && !/\.[mc]?js$/.test(word)) return word
  const { loaded = [] } = await client.change({ op: 'load', file: resolve(word) })
  if (loaded.length === 1) return loaded[0]!
  throw new StackError('ERR_BAD_ARGUMENT', `${word} brought ${loaded.length} modules: ${loaded.join(', ')}`, {
    hint: 'they are loaded now: push the one that you mean by its name',
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UsageError(`"${text}" is no JSON`)
  }
}

/** `key=value` words; a value that reads as JSON is that, else text. */
export function optionsOf(words: readonly string[]): { options?: Record<string, unknown> } {
  if (words.length === 0) return {}
  const pairs = words.map((word): [string, unknown] => {
    const at = word.indexOf('=')
    if (at < 1) throw new UsageError(`"${word}" is no KEY=VALUE`)
    return [word.slice(0, at), parseWord(word.slice(at + 1))]
  })
  return { options: Object.fromEntries(pairs) }
}

function parseWord(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

async function show(
  { args, out }: Invocation,
  client: ControlClient,
  words: readonly string[],
): Promise<void> {
  const [view, status] = await Promise.all([client.plumbing(), client.status()])
  const all = args.flag('all')
  const [wanted] = words
  const links = new Map(status.links.map(link => [link.name, link]))
  const shown = view.streams.filter(({ name }) =>
    wanted === undefined ? all || links.has(name) : name === wanted,
  )
  if (wanted !== undefined && shown.length === 0) {
    const hint = didYouMean(wanted, [...new Set(view.streams.map(({ name }) => name))])
    throw new StackError('ERR_NOT_FOUND', `${status.name} has no link or stream "${wanted}"`, { hint })
  }
  const document: PlumbingView & { name: string } = {
    name: status.name,
    streams: shown,
    modules: view.modules,
  }
  out.report(document, () => {
    const told = new Set<string>()
    const lines = shown.flatMap(stream => {
      const link = links.get(stream.name)
      const about = link === undefined ? null : `${link.state}, ${link.addresses.join(', ') || 'no address'}`
      const isPlain = all && wanted === undefined && !out.verbose && about === null && stream.error === null
      return isPlain && stream.instances.length === 2
        ? plainLine(out, stream, told)
        : streamLines(out, stream, about)
    })
    if (wanted === TCP_STREAM && shown.length > 0)
      lines.push(out.style('dim', `its settings: putnext plumb ${args.required('NODE')} set tcp`))
    return lines.length === 0 ? `${status.name} has no links` : lines.join('\n')
  })
}

/** A stream of nothing but its ends on one line. @param told - what was said of drivers, which is not said again */
function plainLine(out: Output, stream: StreamView, told: Set<string>): string {
  const driver = stream.instances[1]!
  const text = instanceText(out, driver)
  const fresh = text === '' || told.has(`${driver.label} ${text}`) ? '' : `  ${text}`
  told.add(`${driver.label} ${text}`)
  return `${out.style('bold', stream.name)}: ${stream.under ?? stream.instances[0]!.label}, ${driver.label}${fresh}`
}

/** A stream as a tree: what stands above it, its modules, its driver, each with its counters. */
export function streamLines(out: Output, stream: StreamView, about: string | null): string[] {
  const title = `${out.style('bold', stream.name)}${about === null ? '' : ` (${about})`}`
  const trouble = stream.error === null ? [] : [`  ${out.style('red', stream.error)}`]
  // What stands on top of a link is the multiplexor that it is linked under.
  const nameOf = ({ kind, label }: InstanceView): string =>
    kind === 'head' ? (stream.under ?? label) : label
  const width = Math.max(...stream.instances.map(instance => nameOf(instance).length))
  const rows = stream.instances.map((instance, i) => {
    const branch = i === stream.instances.length - 1 ? '└─' : '├─'
    return `${branch} ${nameOf(instance).padEnd(width)}  ${instanceText(out, instance)}`.trimEnd()
  })
  return [title, ...trouble, ...rows]
}

function instanceText(out: Output, instance: InstanceView): string {
  const { counters, settings, read, write, kind } = instance
  const counted = Object.entries(counters)
    .filter(([, value]) => out.verbose || value !== 0)
    .map(([name, value]) => `${name} ${value}`)
  const waits = [
    read.bytes > 0 ? `${read.bytes} B wait up` : '',
    write.bytes > 0 ? `${write.bytes} B wait down` : '',
  ]
  // What a driver has to tell, as TCP all its settings, is long.
  const isTold = settings !== null && (kind === 'module' || (kind === 'driver' && out.verbose))
  const told = isTold ? out.style('dim', settingsText(out, settings)) : ''
  return [counted.join(', '), ...waits, told].filter(text => text !== '').join('  ')
}

/** Settings as JSON, cut where a line would get out of hand; --verbose and --json have all of it. */
function settingsText(out: Output, settings: unknown): string {
  const text = JSON.stringify(settings)
  return out.verbose || text.length <= SETTINGS_MAX ? text : `${text.slice(0, SETTINGS_MAX - 1)}…`
}
