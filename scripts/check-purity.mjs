// Checks that protocol code takes time and randomness as values: in the folders below, no clock, timer, global
// randomness, process or console. Test files are exempt. Usage: node scripts/check-purity.mjs [ROOT]

import { codeOnly, filesUnder, isMain, lineAt, readSource, report } from './project/source-text.mjs'

const PURE_FOLDERS = ['base', 'streams', 'inet', 'rpc', 'dist']

/** Not cores: tests, the helpers of tests, and the adapter that stands beside each core of dist. */
const EXEMPT = [/\.test\.ts$/, /\/testing\//, /^src\/dist\/.*\/node\.ts$/]

/**
 * Each name is matched where it stands by itself, not as a property of something else.
 * @type {readonly (readonly [name: string, pattern: RegExp])[]}
 */
const IMPURE = [
  ['Date', /(?<![.\w$])Date\b(?!\s*:)/g],
  ['performance', /(?<![.\w$])performance\s*[.[?]/g],
  ['a timer', /(?<![.\w$])(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b(?!\s*[?]?:)/g],
  ['process', /(?<![.\w$])process\s*[.[?]/g],
  ['Math.random', /(?<![.\w$])Math\s*\.\s*random\b/g],
  ['crypto', /(?<![.\w$])crypto\s*[.[?]/g],
  ['globalThis', /(?<![.\w$])globalThis\b/g],
  ['console', /(?<![.\w$])console\s*[.[?]/g],
]

/**
 * What is allowed all the same, each with its reason.
 * @type {readonly { path: string, name: string, reason: string }[]}
 */
export const EXCEPTIONS = [
  {
    path: 'src/rpc/call-runner.ts',
    name: 'a timer',
    reason: 'a microtask, behind those of the promises that handlers wait for: the loop lets them run',
  },
  {
    path: 'src/rpc/client-engine.ts',
    name: 'a timer',
    reason: 'a microtask behind the continuations of the promises that were resolved, one for a turn',
  },
  {
    path: 'src/rpc/handler-warnings.ts',
    name: 'process',
    reason: 'a warning that a handler threw, where a server has no onError',
  },
  {
    path: 'src/rpc/server.ts',
    name: 'crypto',
    reason: 'session handles that nobody guesses; a simulation gives secretWord of its own',
  },
  {
    path: 'src/rpc/rpcbind/server.ts',
    name: 'Date',
    reason: 'RPCBPROC_GETTIME answers the time of day; a test gives unixSeconds of its own',
  },
]

/**
 * @param {string} root of the tree to check
 * @param {readonly { path: string, name: string }[]} exceptions
 * @returns {{ files: number, problems: string[] }}
 */
export function checkPurity(root, exceptions = EXCEPTIONS) {
  const files = PURE_FOLDERS.flatMap(folder => filesUnder(root, `src/${folder}`, /\.ts$/)).filter(
    path => !EXEMPT.some(pattern => pattern.test(path)),
  )
  const problems = []
  const unused = new Set(exceptions)
  for (const path of files) {
    const code = codeOnly(readSource(root, path))
    for (const [name, pattern] of IMPURE) {
      const exception = exceptions.find(one => one.path === path && one.name === name)
      for (const match of code.matchAll(pattern)) {
        if (exception === undefined)
          problems.push(`${path}:${lineAt(code, match.index)}: a core uses ${name}`)
        else unused.delete(exception)
      }
    }
  }
  for (const { path, name } of unused) {
    problems.push(`scripts/check-purity.mjs: ${path} no longer uses ${name}; remove the exception`)
  }
  return { files: files.length, problems }
}

if (isMain(import.meta.url)) {
  const { files, problems } = checkPurity(process.argv[2] ?? '.')
  report('purity', problems, `${files} files of ${PURE_FOLDERS.join(', ')}`)
}
