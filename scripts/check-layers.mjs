// Checks that the folders under src import only what their floor allows. Type-only imports count: they too tie the
// floors together. Usage: node scripts/check-layers.mjs [ROOT]

import { posix } from 'node:path'
import { codeOnly, filesUnder, importsOf, isMain, readSource, report } from './project/source-text.mjs'

const FLOORS = /** @type {const} */ ([
  'base',
  'streams',
  'host',
  'inet',
  'driver',
  'socket',
  'ipc',
  'kernel',
  'rpc',
  'dist',
  'trust',
  'service',
])

/**
 * What each folder may import beside itself: the one place where the architecture is written down for a machine.
 * The upper five see all floors and the ones of the five that stand before them, so that no circle can form.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const ALLOWED = {
  base: [],
  streams: ['base'],
  host: ['base'],
  inet: ['base', 'streams'],
  driver: ['base', 'host', 'streams'],
  socket: ['base', 'streams', 'inet'],
  ipc: ['base', 'streams', 'host', 'inet', 'driver', 'socket'],
  kernel: ['base', 'streams', 'inet', 'socket'],
  rpc: ['base', 'streams', 'inet', 'socket'],
  dist: ['base', 'rpc'],
  trust: ['base', 'rpc', 'dist'],
  service: ['base', 'rpc', 'dist'],
  node: FLOORS,
  lab: [...FLOORS, 'node'],
  sim: [...FLOORS, 'node', 'lab'],
  bench: [...FLOORS, 'node', 'lab', 'sim'],
  cli: [...FLOORS, 'node', 'lab', 'sim', 'bench'],
}

const ANY_BUILTIN = /^node:/

/**
 * Node's own modules, by folder; a folder that is not named uses none.
 * @type {Readonly<Record<string, RegExp>>}
 */
const BUILTINS = {
  host: ANY_BUILTIN,
  driver: /^node:(fs|stream)(\/|$)/,
  socket: ANY_BUILTIN,
  ipc: ANY_BUILTIN,
  kernel: /^node:(crypto|dgram|net)$/,
  node: ANY_BUILTIN,
  lab: ANY_BUILTIN,
  bench: ANY_BUILTIN,
  cli: ANY_BUILTIN,
}

/**
 * npm packages, by folder: configuration is read at the top of the house, and reports are drawn there.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
const PACKAGES = {
  node: ['yaml', 'valibot'],
  lab: ['yaml', 'valibot'],
  // gRPC is compared with where it is installed.
  bench: ['d3-scale', 'd3-shape', '@grpc/grpc-js'],
  cli: ['yaml', 'valibot'],
}

/** Folders that run compliance suites for the user, outside the tests. */
const MAY_USE_TESTING = ['bench', 'cli']

/** What tests may use beside that: the runner, its helpers and Node itself. */
const TEST_PACKAGES = ['vitest', 'fast-check', 'ipaddr.js', '@valibot/to-json-schema']

const TEST_FILE = /\.test\.[cm]?ts$/
const INDEX_STATEMENT = /^export\s+(type\s+)?(\*(\s+as\s+\w+)?|\{[^}]*\})\s+from\s+['"] *['"]$/

/**
 * @typedef {object} Place
 * @property {string} path from the root, as src/inet/ip/input.ts
 * @property {string} folder the first folder under src; empty for src/index.ts itself
 * @property {boolean} isTest
 * @property {boolean} isTesting stands in a folder named testing: helpers and compliance suites for tests
 */

/**
 * @param {string} path
 * @returns {Place}
 */
function placeOf(path) {
  const parts = path.split('/')
  return {
    path,
    folder: parts.length > 2 ? /** @type {string} */ (parts[1]) : '',
    isTest: TEST_FILE.test(path),
    isTesting: parts.slice(0, -1).includes('testing'),
  }
}

/**
 * @param {Place} from
 * @param {string} specifier
 * @returns {string | null} what is wrong with the import
 */
function judge(from, specifier) {
  if (specifier.startsWith('node:')) return judgeBuiltin(from, specifier)
  if (!specifier.startsWith('.')) return judgePackage(from, specifier)
  const target = posix.join(posix.dirname(from.path), specifier)
  if (!target.startsWith('src/')) return `leaves src: ${target}`
  const to = placeOf(target)
  if (to.isTest) return `imports the test file ${to.path}`
  if (to.isTesting && !from.isTest && !from.isTesting && !MAY_USE_TESTING.includes(from.folder)) {
    return `imports ${to.path}, which is for tests`
  }
  if (to.folder === from.folder || from.folder === '') return null
  if (to.folder === '') return `imports ${to.path}, which re-exports folders above ${from.folder}`
  if (ALLOWED[from.folder]?.includes(to.folder)) return null
  return `${from.folder} may import ${ALLOWED[from.folder]?.join(', ') || 'nothing'}; not ${to.folder}`
}

/** @param {Place} from @param {string} specifier */
function judgeBuiltin(from, specifier) {
  if (from.isTest || from.isTesting || BUILTINS[from.folder]?.test(specifier)) return null
  return `${from.folder} may not use ${specifier}`
}

/** @param {Place} from @param {string} specifier */
function judgePackage(from, specifier) {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  if (PACKAGES[from.folder]?.includes(name)) return null
  if ((from.isTest || from.isTesting) && TEST_PACKAGES.includes(name)) return null
  return `${from.folder} may not use the package ${name}`
}

/**
 * An index file is a table of contents: every statement of it re-exports.
 * @param {string} source
 */
function onlyReExports(source) {
  return codeOnly(source)
    .split(/;|\n(?=\s*(?:export|import|const|let|var|function|class|type|interface|async|declare)\b)/)
    .map(statement => statement.trim())
    .every(statement => statement === '' || INDEX_STATEMENT.test(statement))
}

/**
 * @param {string} root of the tree to check
 * @returns {{ files: number, problems: string[] }}
 */
export function checkLayers(root) {
  const files = filesUnder(root, 'src', /\.[cm]?ts$/)
  const problems = files.flatMap(path => {
    const place = placeOf(path)
    const source = readSource(root, path)
    if (place.folder !== '' && ALLOWED[place.folder] === undefined) {
      return [`${path}: the folder src/${place.folder} is not in the table of scripts/check-layers.mjs`]
    }
    const found = importsOf(source).flatMap(({ specifier, line }) => {
      const wrong = judge(place, specifier)
      return wrong === null ? [] : [`${path}:${line}: ${wrong}`]
    })
    if (/(^|\/)index\.ts$/.test(path) && !onlyReExports(source))
      found.push(`${path}: does more than re-export`)
    return found
  })
  return { files: files.length, problems }
}

if (isMain(import.meta.url)) {
  const { files, problems } = checkLayers(process.argv[2] ?? '.')
  report('layers', problems, `${files} files`)
}
