// Checks that what the documents name is there: scripts and files, links between documents, and the putnext
// commands of fenced examples. Needs dist/ for the commands. Usage: node scripts/check-docs.mjs

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { posix } from 'node:path'
import { filesUnder, isMain, readSource, report } from './project/source-text.mjs'

const NEEDED = [
  'README.md',
  'CHANGELOG.md',
  'docs/examples/labs/inetd.yaml',
  'docs/examples/labs/pair.yaml',
  'docs/guides/write-a-module.md',
  'docs/supported.md',
  'docs/benchmarks.md',
]
const COMMAND_LINE = 'dist/cli/main.js'

/**
 * @param {string} text of a Markdown file
 * @returns {{ scripts: string[], links: string[], commands: string[] }}
 */
export function namedIn(text) {
  const fenced = [...text.matchAll(/^```(?:sh|bash|shell|console)\n([\s\S]*?)^```/gm)].map(
    match => match[1] ?? '',
  )
  const prose = text.replace(/^```[\s\S]*?^```/gm, '')
  const commands = fenced.flatMap(block =>
    [...block.matchAll(/^\s*(?:[$#] )?(?:sudo )?(?:npx )?putnext +([a-z][a-z-]*)/gm)].map(
      match => match[1] ?? '',
    ),
  )
  return {
    scripts: unique(
      [...text.matchAll(/(?<![\w/.-])scripts\/[a-z][a-z-]*(?:\.mjs)?/g)].map(match => match[0]),
    ),
    links: unique([...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1] ?? '')),
    commands: unique(commands),
  }
}

/** @param {string[]} list */
function unique(list) {
  return [...new Set(list)].sort()
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * @param {string} document
 * @param {ReturnType<typeof namedIn>} named
 * @returns {string[]}
 */
function judgeFiles(document, named) {
  const scripts = named.scripts
    .filter(script => !existsSync(script) || (!script.endsWith('.mjs') && !isExecutable(script)))
    .map(script => `${document}: ${script} is not there or not executable`)
  const links = named.links
    .filter(link => !/^([a-z]+:|#)/.test(link))
    .filter(link => !existsSync(posix.join(posix.dirname(document), link.replace(/#.*/, ''))))
    .map(link => `${document}: the link to ${link} leads nowhere`)
  return [...scripts, ...links]
}

/**
 * @param {readonly string[]} commands first words after putnext
 * @returns {string[]}
 */
function judgeCommands(commands) {
  if (!existsSync(COMMAND_LINE))
    return [`${COMMAND_LINE} is not there, so no command of the documents can be tried`]
  return commands
    .filter(command => {
      const options = /** @type {const} */ ({ stdio: 'ignore', timeout: 20_000 })
      return spawnSync(process.execPath, [COMMAND_LINE, command, '--help'], options).status !== 0
    })
    .map(command => `the documents use putnext ${command}, but putnext ${command} --help fails`)
}

if (isMain(import.meta.url)) {
  const documents = ['README.md', 'CHANGELOG.md', ...filesUnder('.', 'docs', /\.md$/)].filter(path =>
    existsSync(path),
  )
  const named = documents.map(document => ({ document, ...namedIn(readSource('.', document)) }))
  const commands = unique(named.flatMap(one => one.commands))
  const problems = [
    ...NEEDED.filter(path => !existsSync(path)).map(path => `missing: ${path}`),
    ...named.flatMap(one => judgeFiles(one.document, one)),
    ...judgeCommands(commands),
  ]
  report('docs', problems, `${documents.length} documents, ${commands.length} commands`)
}
