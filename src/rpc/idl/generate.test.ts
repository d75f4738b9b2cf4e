import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freemsg } from '../../streams/mblk/alloc.ts'
import { Arena } from '../../streams/mblk/arena.ts'
import {
  decodeMessage,
  encodeMessage,
  type XdrCodec,
  XdrDecoder,
  XdrEncoder,
  XdrOpaque,
} from '../xdr/index.ts'
import { analyze } from './analyze.ts'
import { baseName, generate } from './generate.ts'
import type { Interface } from './model.ts'
import { formatProblem } from './source.ts'
import { Values } from './testing/arbitrary.ts'
import { type CorpusFile, DEBIAN_CORPUS, include, OWN_CORPUS } from './testing/corpus.ts'
import { TypeScriptNames } from './typescript-names.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const EVERYTHING: CorpusFile = {
  name: 'everything.x',
  files: [
    { name: 'everything.x', text: readFileSync(new URL('testing/everything.x', import.meta.url), 'utf8') },
  ],
}
const CORPUS = [EVERYTHING, ...OWN_CORPUS, ...DEBIAN_CORPUS]
const partly = DEBIAN_CORPUS.length === 0 ? ' (without those of Debian: rpcsvc-proto is not installed)' : ''

function interfaceOf({ files }: CorpusFile): Interface {
  const { interface: found, problems } = analyze(files, { include })
  expect(problems.filter(({ severity }) => severity === 'error').map(formatProblem)).toEqual([])
  return found!
}

describe(`rpc/idl: generated files${partly}`, () => {
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'putnext-generated-'))
    mkdirSync(join(directory, 'generated'))
    writeFileSync(join(directory, 'package.json'), '{"type": "module"}')
    for (const one of CORPUS)
      for (const [name, text] of generate(interfaceOf(one), { file: one.name }))
        writeFileSync(join(directory, 'generated', name), text)
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const run = (tool: string, ...words: string[]) =>
    spawnSync(join(ROOT, 'node_modules/.bin', tool), words, { cwd: directory, encoding: 'utf8' })

  it('pass the project’s own type check', () => {
    const paths = {
      'putnext/xdr': [join(ROOT, 'src/rpc/xdr/index.ts')],
      'putnext/rpc': [join(ROOT, 'src/rpc/stub-types.ts')],
    }
    const compilerOptions = { paths, typeRoots: [join(ROOT, 'node_modules/@types')] }
    const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, include: ['generated'] }
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config))
    const { stdout, status } = run('tsc', '-p', 'tsconfig.json', '--noEmit')
    expect(stdout.slice(0, 4_000)).toBe('')
    expect(status).toBe(0)
  }, 60_000)

  it('pass the project’s own lint and format', () => {
    const config = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'))
    writeFileSync(
      join(directory, 'biome.json'),
      JSON.stringify({
        ...config,
        $schema: undefined,
        json: { formatter: { enabled: false } },
        files: { includes: ['generated/**'] },
      }),
    )
    const { stdout, stderr, status } = run(
      'biome',
      'check',
      '--error-on-warnings',
      '--max-diagnostics=20',
      '.',
    )
    expect(stderr.includes('lint/') || status !== 0 ? (stdout + stderr).slice(0, 4_000) : '').toBe('')
  }, 60_000)

  it('are the same bytes each time', () => {
    for (const one of CORPUS) {
      const [first, second] = [0, 1].map(() => [
        ...generate(interfaceOf(one), { file: one.name, wireshark: true }),
      ])
      expect(second).toEqual(first)
    }
  })
})

/** Views become bytes, and are given back. */
function plain(value: unknown): unknown {
  if (value instanceof XdrOpaque) {
    const bytes = value.toBytes()
    value.free()
    return bytes
  }
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
}

describe(`rpc/idl: generated codecs${partly}`, () => {
  const directory = join(ROOT, 'build', `rpcgen-test-${process.pid}`)
  beforeAll(() => void mkdirSync(directory, { recursive: true }))
  afterAll(() => rmSync(directory, { recursive: true }))
  const arena = new Arena({ sizeBytes: 8 * 1024 * 1024, poison: true })

  it.each(CORPUS)(
    'every type of $name comes back as it was sent',
    async one => {
      const found = interfaceOf(one)
      const xdr = join(ROOT, 'src/rpc/xdr/index.ts')
      for (const [name, text] of generate(found, {
        file: one.name,
        specifiers: { xdr, rpc: join(ROOT, 'src/rpc/index.ts') },
      }))
        writeFileSync(join(directory, name), text)
      const codecs = await import(/* @vite-ignore */ join(directory, `${baseName(one.name)}-codecs.ts`))
      const names = new TypeScriptNames(found)
      const values = new Values(names)
      const [encoder, decoder] = [new XdrEncoder(arena), new XdrDecoder()]
      for (const type of found.types.filter(({ isPredeclared }) => !isPredeclared)) {
        const codec = codecs[names.codec(type)] as XdrCodec<unknown>
        const check = (value: unknown): void => {
          const mp = encodeMessage(encoder, codec, value)
          const back = plain(decodeMessage(decoder, codec, mp))
          freemsg(mp)
          expect(back).toEqual(plain(value))
        }
        fc.assert(fc.property(values.of(type), check), { numRuns: 25, seed: 5 })
      }
      arena.assertWhole()
    },
    60_000,
  )
})
