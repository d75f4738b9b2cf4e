// Makes the tables of RFC 9293's requirements in docs/supported.md: the lists of scripts/project/rfc9293-musts.mjs and
// rfc9293-shoulds.mjs, and the tests whose names begin with MUST-n or SHLD-n. Usage: node scripts/make-must-table.mjs [--check]

import { readFileSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'
import { MUSTS } from './project/rfc9293-musts.mjs'
import { SHOULDS } from './project/rfc9293-shoulds.mjs'
import { filesUnder, isMain, readSource, report } from './project/source-text.mjs'

const DOCUMENT = 'docs/supported.md'
const END = '<!-- end of that table -->'

/** The two tables, and where they stand. */
export const TABLES = [
  {
    kind: 'MUST',
    list: MUSTS,
    begin: '<!-- begin of the table that scripts/make-must-table.mjs makes -->',
  },
  {
    kind: 'SHLD',
    list: SHOULDS,
    begin: '<!-- begin of the second table that scripts/make-must-table.mjs makes -->',
  },
]

/** A string that begins with MUST-n or SHLD-n, as the title of a test. */
const TITLE = /(['"`])((?:MUST|SHLD)-\d(?:\\.|(?!\1)[^\n])*)\1/g
/** The title of a transcript, or of a case in one. */
const HEADING = /^##? ((?:MUST|SHLD)-\d.*)$/gm
/** `MUST-1`, `MUST-58, MUST-59`, `MUST-58 and 59`, `MUST-24 to 29`, `SHLD-9, MUST-20`, at the front of a title. */
const IDS = /^(?:MUST|SHLD)-\d+(?:\s*(?:,|\/|and|to)\s*(?:(?:MUST|SHLD)-)?\d+)*/

/**
 * @param {string} title
 * @returns {string[]} the requirements that the test is about: `MUST-1`, `SHLD-1`
 */
export function idsOf(title) {
  const list = IDS.exec(title)?.[0] ?? ''
  /** @type {string[]} */
  const ids = []
  let kind = 'MUST'
  let last = 0
  for (const [, to, named, digits] of list.matchAll(/(to\s*)?(?:(MUST|SHLD)-)?(\d+)/g)) {
    kind = named ?? kind
    const id = Number(digits)
    for (let i = to === undefined ? id : last + 1; i <= id; i++) ids.push(`${kind}-${i}`)
    last = id
  }
  return ids
}

/**
 * @param {string} root
 * @returns {Map<string, string[]>} the files with tests of each requirement
 */
export function testsByRequirement(root) {
  const sources = [
    ...filesUnder(root, 'src', /\.test\.ts$/),
    // The tests of this very script have titles as data.
    ...filesUnder(root, 'test', /\.test\.ts$/).filter(path => !path.startsWith('test/project/')),
  ].flatMap(path =>
    [...readSource(root, path).matchAll(TITLE)].map(match => ({ path, title: match[2] ?? '' })),
  )
  const transcripts = filesUnder(root, 'test/conformance', /\.txt$/).flatMap(path =>
    [...readSource(root, path).matchAll(HEADING)].map(match => ({ path, title: match[1] ?? '' })),
  )
  /** @type {Map<string, string[]>} */
  const found = new Map()
  for (const { path, title } of [...sources, ...transcripts]) {
    for (const id of idsOf(title)) {
      const files = found.get(id) ?? []
      if (!files.includes(path)) files.push(path)
      found.set(id, files)
    }
  }
  return found
}

/** @param {string} [note] */
const met = note => (note === undefined ? 'yes' : `yes: ${note}`)

/** @param {readonly string[]} files */
function links(files) {
  return files.map(path => `[${posix.basename(path)}](../${path})`).join(', ')
}

/**
 * @param {Map<string, string[]>} tests
 * @param {typeof TABLES[number]} which
 * @returns {string} Markdown
 */
export function table(tests, { kind, list }) {
  const count = list.filter(({ id, notMet }) => notMet === undefined && tests.has(`${kind}-${id}`)).length
  const rows = list.map(({ id, section, rule, note, notMet }) => {
    const files = tests.get(`${kind}-${id}`) ?? []
    const verdict =
      notMet !== undefined ? `**not met**: ${notMet}` : files.length === 0 ? '**no test**' : met(note)
    const shown = files.length === 0 ? verdict : `${verdict}; ${links(files)}`
    return `| ${kind}-${id} | ${section} | ${rule} | ${shown} |`
  })
  return [
    `${count} of ${list.length} are met, each with a test that has its name.`,
    '',
    '| | RFC 9293 § | | |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}

/**
 * @param {string} root
 * @returns {{ text: string, problems: string[] }} the document as it should be, and what is wrong with the requirements
 */
export function makeDocument(root) {
  let text = readFileSync(posix.join(root, DOCUMENT), 'utf8')
  const tests = testsByRequirement(root)
  for (const which of TABLES) {
    const begin = text.indexOf(which.begin)
    const end = text.indexOf(END, begin)
    if (begin < 0 || end < 0)
      return { text, problems: [`${DOCUMENT} has no place for the table of ${which.kind}s`] }
    text = `${text.slice(0, begin + which.begin.length)}\n${table(tests, which)}\n${text.slice(end)}`
  }
  const known = TABLES.flatMap(({ kind, list }) => list.map(({ id }) => `${kind}-${id}`))
  const problems = [
    ...known.filter(id => !tests.has(id)).map(id => `no test has a name that begins with ${id}`),
    ...[...tests.keys()]
      .filter(id => !known.includes(id))
      .map(id => `a test names ${id}, which RFC 9293 has not`),
  ]
  return { text, problems }
}

if (isMain(import.meta.url)) {
  const { text, problems } = makeDocument('.')
  if (process.argv.includes('--check')) {
    if (text !== readFileSync(DOCUMENT, 'utf8'))
      problems.push(`${DOCUMENT} is not what node scripts/make-must-table.mjs makes`)
  } else writeFileSync(DOCUMENT, text)
  report('requirements', problems, `${MUSTS.length + SHOULDS.length} of RFC 9293`)
}
