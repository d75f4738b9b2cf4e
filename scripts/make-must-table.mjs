// Makes the table of RFC 9293's requirements in docs/supported.md: the list of scripts/project/rfc9293-musts.mjs and the
// tests whose names begin with MUST-n. Usage: node scripts/make-must-table.mjs [--check]

import { readFileSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'
import { MUSTS } from './project/rfc9293-musts.mjs'
import { filesUnder, isMain, readSource, report } from './project/source-text.mjs'

const DOCUMENT = 'docs/supported.md'
const BEGIN = '<!-- begin of the table that scripts/make-must-table.mjs makes -->'
const END = '<!-- end of that table -->'

/** A string that begins with MUST-n, as the title of a test. */
const TITLE = /(['"`])(MUST-\d(?:\\.|(?!\1)[^\n])*)\1/g
/** The title of a transcript, or of a case in one. */
const HEADING = /^##? (MUST-\d.*)$/gm
/** `MUST-1`, `MUST-58, MUST-59`, `MUST-58 and 59`, `MUST-24 to 29`, at the front of a title. */
const IDS = /^MUST-\d+(?:\s*(?:,|\/|and|to)\s*(?:MUST-)?\d+)*/

/**
 * @param {string} title
 * @returns {number[]} the requirements that the test is about
 */
export function idsOf(title) {
  const list = IDS.exec(title)?.[0] ?? ''
  /** @type {number[]} */
  const ids = []
  for (const [, to, digits] of list.matchAll(/(to\s*)?(?:MUST-)?(\d+)/g)) {
    const id = Number(digits)
    for (let i = to === undefined ? id : (ids.at(-1) ?? id) + 1; i <= id; i++) ids.push(i)
  }
  return ids
}

/**
 * @param {string} root
 * @returns {Map<number, string[]>} the files with tests of each requirement
 */
export function testsByMust(root) {
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
  /** @type {Map<number, string[]>} */
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

/** @param {readonly string[]} files */
function links(files) {
  return files.map(path => `[${posix.basename(path)}](../${path})`).join(', ')
}

/**
 * @param {Map<number, string[]>} tests
 * @returns {string} Markdown
 */
export function table(tests) {
  const met = MUSTS.filter(({ id, notMet }) => notMet === undefined && tests.has(id)).length
  const rows = MUSTS.map(({ id, section, rule, notMet }) => {
    const files = tests.get(id) ?? []
    const verdict =
      notMet !== undefined ? `**not met**: ${notMet}` : files.length === 0 ? '**no test**' : 'yes'
    const shown = files.length === 0 ? verdict : `${verdict}; ${links(files)}`
    return `| MUST-${id} | ${section} | ${rule} | ${shown} |`
  })
  return [
    `${met} of ${MUSTS.length} are met, each with a test that has its name.`,
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
  const old = readFileSync(posix.join(root, DOCUMENT), 'utf8')
  const tests = testsByMust(root)
  const [begin, end] = [old.indexOf(BEGIN), old.indexOf(END)]
  if (begin < 0 || end < begin) return { text: old, problems: [`${DOCUMENT} has no place for the table`] }
  const text = `${old.slice(0, begin + BEGIN.length)}\n${table(tests)}\n${old.slice(end)}`
  const known = new Set(MUSTS.map(({ id }) => id))
  const problems = [
    ...MUSTS.filter(({ id }) => !tests.has(id)).map(
      ({ id }) => `no test has a name that begins with MUST-${id}`,
    ),
    ...[...tests.keys()]
      .filter(id => !known.has(id))
      .map(id => `a test names MUST-${id}, which RFC 9293 has not`),
  ]
  return { text, problems }
}

if (isMain(import.meta.url)) {
  const { text, problems } = makeDocument('.')
  if (process.argv.includes('--check')) {
    if (text !== readFileSync(DOCUMENT, 'utf8'))
      problems.push(`${DOCUMENT} is not what node scripts/make-must-table.mjs makes`)
  } else writeFileSync(DOCUMENT, text)
  report('requirements', problems, `${MUSTS.length} of RFC 9293`)
}
