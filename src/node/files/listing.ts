/** The page that shows a directory which has no index page of its own. */
import type { Dir } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface ListingEntry {
  readonly name: string
  readonly directory: boolean
  /** 0 for a directory. */
  readonly bytes: number
  readonly modifiedMs: number
}

/** A directory with more entries than this is shown in part, and says so. */
export const LISTING_ENTRIES_MAX = 5_000

/** What a directory has, directories first, by name. */
export async function readListing(
  directory: Dir,
  path: string,
  showHidden: boolean,
): Promise<{ entries: ListingEntry[]; cut: boolean }> {
  const entries: ListingEntry[] = []
  let cut = false
  for await (const { name } of directory) {
    if (name.startsWith('.') && !showHidden) continue
    if (entries.length === LISTING_ENTRIES_MAX) {
      cut = true
      break
    }
    // What vanished meanwhile, or is neither file nor directory, has no line: it could not be fetched.
    const found = await stat(join(path, name)).catch(() => null)
    if (found === null || !(found.isFile() || found.isDirectory())) continue
    const directory = found.isDirectory()
    entries.push({ name, directory, bytes: directory ? 0 : found.size, modifiedMs: found.mtimeMs })
  }
  const order = (a: ListingEntry, b: ListingEntry): number =>
    Number(b.directory) - Number(a.directory) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
  return { entries: entries.sort(order), cut }
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, character => ESCAPES[character]!)

const STYLE =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}' +
  'table{border-collapse:collapse;width:100%}td,th{padding:.2rem .6rem;text-align:left}td+td,th+th{text-align:right;white-space:nowrap}' +
  'tr:hover td{background:#8882}a{text-decoration:none}a:hover{text-decoration:underline}'

/** @param names - of the path, decoded */
export function listingPage(
  names: readonly string[],
  entries: readonly ListingEntry[],
  cut: boolean,
): string {
  const title = escapeHtml(`/${names.map(name => `${name}/`).join('')}`)
  const up = names.length === 0 ? [] : ['<tr><td><a href="../">../</a></td><td></td><td></td></tr>']
  const rows = entries.map(({ name, directory, bytes, modifiedMs }) => {
    const slash = directory ? '/' : ''
    const link = `<a href="./${encodeURIComponent(name)}${slash}">${escapeHtml(name)}${slash}</a>`
    const when = new Date(modifiedMs).toISOString().slice(0, 19).replace('T', ' ')
    return `<tr><td>${link}</td><td>${directory ? '' : sizeText(bytes)}</td><td>${when}</td></tr>`
  })
  const note = cut ? `<p>Only ${LISTING_ENTRIES_MAX} entries are shown.</p>` : ''
  return (
    `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>` +
    `<style>${STYLE}</style></head>\n<body><h1>${title}</h1>\n<table><tr><th>name</th><th>size</th><th>changed (UTC)</th></tr>\n` +
    `${[...up, ...rows].join('\n')}\n</table>${note}\n</body></html>\n`
  )
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `512 B`, `1.5 MiB`. */
export function sizeText(bytes: number): string {
  let size = bytes
  let unit = 0
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`
}
