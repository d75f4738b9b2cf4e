/** Commands of a transcript as text, and as members of the door's JSON objects. */

/** What words without a name are, by their place; the last one may be repeated. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  socket: ['domain'],
  bind: ['fd', 'port', 'address'],
  listen: ['fd', 'backlog'],
  accept: ['fd'],
  connect: ['fd', 'port', 'address'],
  close: ['fd'],
  shutdown: ['fd', 'how'],
  write: ['fd', 'size'],
  send: ['fd', 'size'],
  read: ['fd', 'size'],
  setsockopt: ['fd', 'name', 'value'],
  getsockopt: ['fd', 'name'],
  getsockname: ['fd'],
  getpeername: ['fd'],
  fcntl: ['fd', 'nonblock'],
  poll: ['fd'],
  ioctl: ['fd', 'request'],
  info: ['fd', 'show'],
  counters: ['show'],
  config: [],
  describe: ['show'],
  events: [],
}

/** Where a peer is that nobody names. */
const REMOTE = '198.51.100.7'

export type CommandMembers = Readonly<Record<string, unknown>>

/**
 * `write 4 1000 nonblock` is {"cmd": "write", "fd": 4, "size": 1000, "nonblock": true}; `name=value` may stand anywhere, `a.b=1` is a
 * member of a member. What `info`, `counters` and `describe` are to show comes last, as names.
 */
export function readCommand(text: string): CommandMembers {
  const [cmd, ...words] = text.split(/\s+/)
  if (cmd === 'advance') return { cmd, ...readAdvance(words) }
  const places = PLACES[cmd!]
  if (places === undefined) throw new Error(`a transcript knows no command "${cmd}"`)
  const members: Record<string, unknown> = { cmd }
  const show: string[] = []
  let place = 0
  for (const word of words) {
    const named = /^([A-Za-z0-9.]+)=(.*)$/.exec(word)
    if (named !== null) setMember(members, named[1]!.split('.'), readValue(named[2]!))
    else if (word === 'nonblock' && cmd !== 'fcntl') members['nonblock'] = true
    else if (places[place] === 'show') show.push(word)
    else if (place < places.length) members[places[place++]!] = readValue(word)
    else throw new Error(`${cmd}: what is "${word}"?`)
  }
  if (cmd === 'connect') members['address'] ??= REMOTE
  if (cmd === 'read') members['as'] ??= 'pattern'
  return show.length === 0 ? members : { ...members, show }
}

/** `40ms`, `1.5s`, `10us`, or `to 2s`. */
function readAdvance(words: readonly string[]): CommandMembers {
  const until = words[0] === 'to'
  const found = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(words[until ? 1 : 0] ?? '')
  if (found === null) throw new Error(`advance: ${words.join(' ')} is no time`)
  const us = Math.round(Number(found[1]) * { us: 1, ms: 1_000, s: 1_000_000 }[found[2] as 'us' | 'ms' | 's'])
  return until ? { to: us } : { us }
}

function setMember(members: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path as [string, ...string[]]
  if (rest.length === 0) members[name] = value
  else {
    const inner = (members[name] ?? {}) as Record<string, unknown>
    members[name] = inner
    setMember(inner, rest, value)
  }
}

/** Numbers, truth values and JSON as they are, everything else as text; commas make a list of text. */
function readValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text.includes(',') ? text.split(',') : text
  }
}
