/** What `putnext curl` is told, read and checked. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { UsageError } from './exit-codes.ts'

/** A header field: its name, its value. */
export type HeaderLine = readonly [name: string, value: string]

/** `10.77.1.1/x` is one too, by HTTP. @throws UsageError */
export function readUrl(text: string): URL {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null
  if (url === null) throw new UsageError(`"${text}" is no URL`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new UsageError(`"${url.protocol}" is not spoken here`, 'http: and https: are')
  return url
}

/** @param user - `NAME:PASSWORD`. @throws UsageError */
export function readHeaders(lines: readonly string[], user: string | undefined): HeaderLine[] {
  const given = lines.map((line): HeaderLine => {
    const colon = line.indexOf(':')
    if (colon < 1) throw new UsageError(`-H: "${line}" is no header`, 'write "Name: value"')
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
  })
  const has = (name: string): boolean => given.some(([own]) => own.toLowerCase() === name)
  return [
    ...(has('user-agent') ? [] : [['user-agent', 'putnext'] as const]),
    ...(has('accept') ? [] : [['accept', '*/*'] as const]),
    ...(user === undefined
      ? []
      : [['authorization', `Basic ${Buffer.from(user).toString('base64')}`] as const]),
    // An empty value takes a header away, as curl has it.
    ...given.filter(([, value]) => value !== ''),
  ]
}

/** RFC 9110 §9.1: a method is a token. @throws UsageError */
export function checkMethod(text: string): string {
  if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text)) return text
  throw new UsageError(`-X: "${text}" is no method`, 'one word, as PUT')
}

/** Certificates to trust, from the file of --cacert. @throws UsageError */
export function readCertificates(path: string): Buffer {
  let text: Buffer
  try {
    text = readFileSync(path)
  } catch (error) {
    throw new UsageError(`--cacert: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`)
  }
  if (/-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/.test(text.toString('latin1'))) return text
  throw new UsageError(
    `--cacert: ${path} has no certificate`,
    'certificates are in PEM there: -----BEGIN CERTIFICATE-----',
  )
}

/** The parts of -d, joined by `&`; `@FILE` is what a file has. @returns null without -d. @throws UsageError */
export function requestBody(parts: readonly string[]): Uint8Array | null {
  if (parts.length === 0) return null
  const joined = parts.flatMap((part, i) => [...(i === 0 ? [] : [Buffer.from('&')]), bodyPart(part)])
  return Buffer.concat(joined)
}

function bodyPart(part: string): Buffer {
  if (!part.startsWith('@')) return Buffer.from(part)
  try {
    return readFileSync(part.slice(1))
  } catch (error) {
    throw new UsageError(`-d: cannot read ${part.slice(1)} (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** `HOST:PORT:ADDRESS` of --resolve. @returns addresses by `HOST:PORT`. @throws UsageError */
export function readResolves(texts: readonly string[]): Map<string, string> {
  return new Map(
    texts.map((text): [string, string] => {
      const [, host = '', port = '', address = ''] = /^([^:]+):([0-9]+):(.+)$/.exec(text) ?? []
      const bare = address.replace(/^\[(.*)\]$/, '$1')
      if (isIP(bare) === 0)
        throw new UsageError(`--resolve: "${text}" is not HOST:PORT:ADDRESS`, 'as example.org:443:10.77.1.1')
      return [`${host}:${Number(port)}`, bare]
    }),
  )
}
