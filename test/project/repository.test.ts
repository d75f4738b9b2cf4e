import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesUnder } from '../../scripts/project/source-text.mjs'
import { ROOT } from './tree.ts'

const PROGRAMS = [
  '.ci/run',
  ...['setup', 'test', 'demo', 'fuzz', 'build-shim', 'install-peers', 'publish-copies'].map(
    name => `scripts/${name}`,
  ),
]
const DOCUMENTS = [
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'docs/supported.md',
  'docs/benchmarks.md',
  'docs/optional-packages.md',
  'docs/guides/write-a-module.md',
  'docs/examples/labs/inetd.yaml',
  'docs/examples/labs/pair.yaml',
]

/** Put together here, so that this file does not contain what it looks for. */
const FOREIGN: readonly (readonly [string, RegExp])[] = [
  ['the address of a package registry', new RegExp(['registry', '(npmjs|yarnpkg)'].join('\\.'), 'i')],
  ['a resolved download address', new RegExp(`"resolved${'":'} *"https?:`)],
  ['a path of some machine', new RegExp(`(?<![\\w.-])/(${['work', 'farm'].join('|')})/`)],
  ['a home folder', new RegExp(`/(${['home/[a-z]', 'root/[.a-z]', 'Users/[A-Z]'].join('|')})`)],
  ['a hidden library folder', new RegExp(`\\.${'library'}\\b`)],
]

/** What git would commit: tracked, and new files that it does not ignore. Without git, as in a tarball, the sources. */
function committed(): string[] {
  try {
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
    const output = execFileSync('git', list, {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return output.split('\0').filter(path => path !== '' && existsSync(join(ROOT, path)))
  } catch {
    return ['src', 'test', 'scripts', 'docs', 'native-shims'].flatMap(folder => filesUnder(ROOT, folder, /./))
  }
}

describe('the repository', () => {
  const files = committed().filter(path => statSync(join(ROOT, path)).isFile())

  it.each(FOREIGN)('names nowhere %s', (_, pattern) => {
    const found = files.filter(path => pattern.test(readFileSync(join(ROOT, path), 'latin1')))
    expect(found).toEqual([])
    expect(files.length).toBeGreaterThan(50)
  })

  it('has no file above 1 MiB', () => {
    expect(files.filter(path => statSync(join(ROOT, path)).size > 1_048_576)).toEqual([])
  })

  it('has all documents', () => {
    expect(DOCUMENTS.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
  })

  it.each(PROGRAMS)('has %s, executable, in bash that stops at the first error', path => {
    accessSync(join(ROOT, path), constants.X_OK)
    const text = readFileSync(join(ROOT, path), 'utf8')
    expect(text).toMatch(/^#!\/usr\/bin\/env (bash|node)\n/)
    if (text.startsWith('#!/usr/bin/env bash')) expect(text).toMatch(/^set -e?uo pipefail$/m)
  })

  it('runs in CI what a developer runs', () => {
    expect(readFileSync(join(ROOT, '.ci/run'), 'utf8')).toMatch(/^exec scripts\/test$/m)
  })

  it('names no file utils, common or misc', () => {
    expect(files.filter(path => /(^|\/)(utils?|common|misc)(\.|\/)/.test(path))).toEqual([])
  })

  it('pins every dependency to one version', () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const versions = Object.entries({
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.peerDependencies,
    })
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([])
    expect(Object.keys(manifest.dependencies).sort()).toEqual(['d3-scale', 'd3-shape', 'valibot', 'yaml'])
  })

  it('locks the packages of every platform: npm ci refuses a lock without them', () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>
    }
    const wanted = Object.values(packages).flatMap(one => Object.keys(one.optionalDependencies ?? {}))
    expect(wanted.filter(name => packages[`node_modules/${name}`]?.version === undefined)).toEqual([])
    expect(wanted.length).toBeGreaterThan(10)
  })
})
