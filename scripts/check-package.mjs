// Checks what npm would publish: everything package.json points at is there, every script has its map and its
// types, and no test travels along. Needs dist/ (scripts/setup). Usage: node scripts/check-package.mjs

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { isMain, report } from './project/source-text.mjs'

const NEEDED = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'scripts/build-shim']
const UNWANTED =
  /\.test\.|(^|\/)(test|tests|fuzz|build|node_modules|\.ci)\/|\.(node|o|log|cpuprofile|tsbuildinfo)$/

/**
 * @typedef {object} Manifest
 * @property {Record<string, string>} bin
 * @property {Record<string, unknown>} exports
 */

/**
 * Every file that package.json promises.
 * @param {Manifest} manifest
 * @returns {string[]}
 */
export function promisedFiles(manifest) {
  /** @type {string[]} */
  const promised = []
  /** @param {unknown} target */
  const walk = target => {
    if (typeof target === 'string') promised.push(posix.normalize(target))
    else if (typeof target === 'object' && target !== null) Object.values(target).forEach(walk)
  }
  walk(manifest.bin)
  walk(manifest.exports)
  return promised
}

/**
 * @param {readonly string[]} packed paths in the package
 * @param {Manifest} manifest
 * @returns {string[]}
 */
export function judgeContents(packed, manifest) {
  const there = new Set(packed)
  const lacks = (/** @type {string} */ path) => !there.has(path)
  const scripts = packed.filter(path => /^dist\/.*\.js$/.test(path))
  const companions = scripts.flatMap(path => [`${path}.map`, path.replace(/\.js$/, '.d.ts')])
  // The maps point at the sources, so those are part of the package too.
  const sources = scripts.map(path => path.replace(/^dist\/(.*)\.js$/, 'src/$1.ts'))
  const problems = [...NEEDED, ...promisedFiles(manifest), ...companions, ...sources]
    .filter(lacks)
    .map(path => `missing from the package: ${path}`)
  if (scripts.length === 0) problems.push('missing from the package: everything in dist/; run scripts/setup')
  if (!packed.some(path => /^native-shims\/.*\.c$/.test(path)))
    problems.push('missing: the sources of the native shim')
  const strangers = packed.filter(path => UNWANTED.test(path) && !path.startsWith('prebuilds/'))
  return [...problems, ...strangers.map(path => `does not belong in the package: ${path}`)]
}

/** @param {Manifest} manifest */
function judgeCommands(manifest) {
  return Object.values(manifest.bin)
    .filter(path => existsSync(path) && !readFileSync(path, 'utf8').startsWith('#!/usr/bin/env node\n'))
    .map(path => `${path}: a command has to start with #!/usr/bin/env node`)
}

if (isMain(import.meta.url)) {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  // npm answered a list of packages up to version 11 and may answer an object by name after it.
  const answer = JSON.parse(output)
  const pack = Array.isArray(answer) ? answer[0] : (Object.values(answer)[0] ?? answer)
  /** @type {string[]} */
  const packed = pack.files.map((/** @type {{ path: string }} */ file) => file.path)
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
  const problems = [...judgeContents(packed, manifest), ...judgeCommands(manifest)]
  report('package', problems, `${packed.length} files, ${Math.round(pack.size / 1024)} KiB packed`)
}
