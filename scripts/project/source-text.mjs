// Reads TypeScript as text for the checks: what is code, what is a comment or a string, and what is imported.
// A check must not be fooled by a word in a comment, and TypeScript 7 has no programming interface to parse with.

import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * @typedef {object} Import
 * @property {string} specifier as written
 * @property {number} line counted from 1
 */

/** After these words a slash opens a regular expression, not a division. */
const BEFORE_REGEX =
  /(?:^|[=(,:;!&|?{}[+*%~^<>-]|=>|\b(?:return|typeof|case|in|of|void|throw|yield|await|else|do))$/

/**
 * Blanks comments, and what strings, template texts and regular expressions contain. Quotes, line breaks and all
 * offsets stay as they are, so a position in the answer is one in the source.
 * @param {string} source
 * @returns {string}
 */
export function codeOnly(source) {
  const out = source.split('')
  let at = 0
  /** @type {number[]} braces still open in each template expression that we are inside of */
  const templates = []

  /** @param {number} from @param {number} to */
  const blank = (from, to) => {
    for (let i = from; i < to; i++) if (out[i] !== '\n') out[i] = ' '
  }
  /** @param {string} quote */
  const skipString = quote => {
    const start = at++
    while (at < source.length && source[at] !== quote && source[at] !== '\n')
      at += source[at] === '\\' ? 2 : 1
    blank(start + 1, at)
    at++
  }
  const skipTemplateText = () => {
    const start = at
    while (at < source.length && source[at] !== '`' && !source.startsWith('${', at))
      at += source[at] === '\\' ? 2 : 1
    blank(start, at)
    if (source[at] === '`') at++
    else {
      at += 2
      templates.push(0)
    }
  }
  const skipRegex = () => {
    const start = at++
    let inClass = false
    while (at < source.length && source[at] !== '\n' && (inClass || source[at] !== '/')) {
      if (source[at] === '[') inClass = true
      if (source[at] === ']') inClass = false
      at += source[at] === '\\' ? 2 : 1
    }
    blank(start + 1, at)
    at++
  }
  const opensRegex = () => {
    // Only the end of the code before the slash decides, and its line is nearly always enough to see it.
    const before = out
      .slice(Math.max(0, at - 200), at)
      .join('')
      .trimEnd()
    return before === '' || BEFORE_REGEX.test(before)
  }

  while (at < source.length) {
    const c = source[at]
    if (source.startsWith('//', at) || (at === 0 && source.startsWith('#!'))) {
      const start = at
      while (at < source.length && source[at] !== '\n') at++
      blank(start, at)
    } else if (source.startsWith('/*', at)) {
      const end = source.indexOf('*/', at + 2)
      const stop = end < 0 ? source.length : end + 2
      blank(at, stop)
      at = stop
    } else if (c === "'" || c === '"') skipString(c)
    else if (c === '`') {
      at++
      skipTemplateText()
    } else if (c === '/' && opensRegex()) skipRegex()
    else {
      at++
      const open = templates.length - 1
      if (open < 0) continue
      if (c === '{') templates[open] = /** @type {number} */ (templates[open]) + 1
      else if (c === '}') {
        if (templates[open] === 0) {
          templates.pop()
          skipTemplateText()
        } else templates[open] = /** @type {number} */ (templates[open]) - 1
      }
    }
  }
  return out.join('')
}

/** `from '…'` of an import or export, `import '…'`, `import('…')` and `import x = require('…')`; types count too. */
const SPECIFIER = /\b(?:from\s*|(?:import|require)\s*\(?\s*)(['"`])( *)\1/g

/**
 * @param {string} source
 * @returns {Import[]}
 */
export function importsOf(source) {
  const code = codeOnly(source)
  return [...code.matchAll(SPECIFIER)].map(match => {
    const start = match.index + match[0].length - 1 - /** @type {string} */ (match[2]).length
    const end = match.index + match[0].length - 1
    return { specifier: source.slice(start, end), line: lineAt(source, match.index) }
  })
}

/**
 * @param {string} source
 * @param {number} offset
 */
export function lineAt(source, offset) {
  let line = 1
  for (let i = 0; i < offset; i++) if (source[i] === '\n') line++
  return line
}

/**
 * Files under a folder whose names match, as paths from `root` with forward slashes, sorted. A folder that does
 * not exist has none.
 * @param {string} root
 * @param {string} folder
 * @param {RegExp} name
 * @returns {string[]}
 */
export function filesUnder(root, folder, name) {
  /** @type {import('node:fs').Dirent[]} */
  let entries
  try {
    entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return []
    throw error
  }
  return entries
    .filter(entry => entry.isFile() && name.test(entry.name))
    .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter(path => !path.includes('node_modules/'))
    .sort()
}

/**
 * @param {string} root
 * @param {string} path
 */
export function readSource(root, path) {
  return readFileSync(join(root, path), 'utf8')
}

/**
 * Prints what a check found and sets the exit code.
 * @param {string} title
 * @param {readonly string[]} problems
 * @param {string} looked at what, for the line that tells all is well
 */
export function report(title, problems, looked) {
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
  console.log(
    `${title}: ${problems.length === 0 ? `${looked}, all as it should be` : `${problems.length} wrong`}`,
  )
}

/**
 * True if the module was started as a program, not imported by its test.
 * @param {string} moduleUrl
 */
export function isMain(moduleUrl) {
  const started = process.argv[1]
  return started !== undefined && moduleUrl === pathToFileURL(realpathSync(started)).href
}
