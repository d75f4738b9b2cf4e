/** The files that `putnext module new` writes. */

/** File names and their texts. */
export type Template = Readonly<Record<string, string>>

/** @param name - of the module: lower-case letters, digits and dashes */
export function moduleTemplate(name: string, version: string): Template {
  const id = name.replace(/-([a-z0-9])/g, (_dash, letter: string) => letter.toUpperCase())
  return {
    [`${name}.mjs`]: moduleText(name, id),
    [`${name}.test.mjs`]: testText(name, id),
    'package.json': packageText(name, version),
    'README.md': readmeText(name),
  }
}

const moduleText = (name: string, id: string): string => `// @ts-check
/**
 * ${name}: a protocol module. It counts the packets that pass, and can drop every Nth on its way up.
 *
 * What passes is a message: a chain of blocks, with its bytes in \`mp.bytes\` from \`mp.rptr\` to \`mp.wptr\`, then \`mp.cont\`. A put
 * procedure hands each on with \`putnext\`, keeps it with \`putq\`, or frees it with \`freemsg\`: one of the three, once.
 * Types that a module does not know travel on unchanged.
 */
import { freemsg, M_DATA, putnext, StackError } from 'putnext/streams'

/**
 * The state of one instance: \`q.state\` in both directions.
 * @typedef {object} State
 * @property {number} every drop every Nth packet on its way up; 0 for none
 * @property {number} turn packets since the last one that was dropped
 * @property {{ up: number, down: number, dropped: number }} counters
 */

/** @type {import('putnext/streams').ModuleInfo<State>} */
export const ${id} = {
  name: '${name}',
  // Water marks in bytes. This module queues nothing, so they never matter.
  hiwat: 65_536,
  lowat: 16_384,
  open: (_q, options) => ({ every: everyOf(options), turn: 0, counters: { up: 0, down: 0, dropped: 0 } }),
  close: () => {},
  read: { put: readPut },
  write: { put: writePut },
  counters: state => state.counters,
  configure: (q, options) => {
    q.state.every = everyOf(options)
  },
  describe: ({ every }) => ({ every }),
}

/**
 * Up, from the device to IP.
 * @param {import('putnext/streams').Queue<State>} q
 * @param {import('putnext/streams').Mblk} mp
 */
function readPut(q, mp) {
  const state = q.state
  if (mp.type === M_DATA) {
    state.counters.up++
    if (state.every > 0 && ++state.turn >= state.every) {
      state.turn = 0
      state.counters.dropped++
      freemsg(mp)
      return
    }
  }
  putnext(q, mp)
}

/**
 * Down, from IP to the device.
 * @param {import('putnext/streams').Queue<State>} q
 * @param {import('putnext/streams').Mblk} mp
 */
function writePut(q, mp) {
  if (mp.type === M_DATA) q.state.counters.down++
  putnext(q, mp)
}

/**
 * Options come from configuration files and command lines, so they are checked here, all of them.
 * @param {unknown} options
 * @returns {number}
 */
function everyOf(options) {
  if (options === undefined || options === null) return 0
  if (typeof options !== 'object') throw new StackError('ERR_BAD_CONFIG', '${name}: options must be { every }')
  const { every = 0, ...unknown } = /** @type {Record<string, unknown>} */ (options)
  const [key] = Object.keys(unknown)
  if (key !== undefined) throw new StackError('ERR_BAD_CONFIG', \`${name} knows no option "\${key}" (every)\`)
  if (typeof every !== 'number' || !Number.isInteger(every) || every < 0)
    throw new StackError('ERR_BAD_CONFIG', '${name}: "every" must be a whole number, 0 or more')
  return every
}

/** For "putnext module check" and the test: options that must be refused. */
export const compliance = { bad: ['text', { evry: 1 }, { every: -1 }, { every: 1.5 }] }
`

const testText = (name: string, id: string): string => `// Run with: node --test
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { insertBetween, makeRig, makeTestRuntime, moduleCompliance, numberedPacket, packetNumber } from 'putnext/testing'
import { compliance, ${id} } from './${name}.mjs'

// The rules that every module keeps: order, flow control, control messages, memory.
for (const { name, run } of moduleCompliance(() => ${id}, compliance)) test(name, run)

test('drops every third packet on its way up, and none on its way down', () => {
  const runtime = makeTestRuntime()
  const rig = makeRig(runtime)
  const q = insertBetween(rig, ${id}, { every: 3 })
  for (let i = 1; i <= 6; i++) {
    rig.bottom.send(numberedPacket(runtime.arena, i))
    rig.top.send(numberedPacket(runtime.arena, i))
  }
  runtime.settle()
  assert.deepEqual(rig.top.got.map(packetNumber), [1, 2, 4, 5])
  assert.equal(rig.bottom.got.length, 6)
  assert.deepEqual(${id}.counters?.(/** @type {any} */ (q.state)), { up: 6, down: 6, dropped: 2 })
  // Closes the stream and makes sure that every block came home.
  runtime.finish()
})
`

const packageText = (name: string, version: string): string => `${JSON.stringify(
  {
    name,
    version: '0.0.0',
    private: true,
    type: 'module',
    exports: `./${name}.mjs`,
    scripts: { test: 'node --test' },
    dependencies: { putnext: `^${version}` },
  },
  null,
  2,
)}
`

const readmeText = (name: string): string => `# ${name}

A protocol module for Putnext, in plain JavaScript.

| command | what it does |
| --- | --- |
| \`node --test\` | its test |
| \`putnext module check ${name}.mjs\` | the rules that every module keeps |
| \`putnext plumb NODE push LINK ./${name}.mjs\` | on a link of a live node |
| \`putnext plumb NODE set LINK ${name} every=3\` | change its settings there |
| \`putnext plumb NODE\` | its counters |
| \`putnext plumb NODE pop LINK\` | off again |

\`node_modules/putnext\` is a link to the Putnext that wrote this; \`npm install putnext\` puts a copy in its place.
`
