// The stages of scripts/test, in the order in which they run: cheap ones that fail often come first.

/**
 * @typedef {object} Stage
 * @property {string} name what scripts/test NAME runs
 * @property {string} title
 * @property {readonly string[]} command
 * @property {boolean} [slow] left out by --quick
 * @property {boolean} [counts] a vitest run, whose tests are counted
 */

const node = process.execPath

/** @param {string} program @param {readonly string[]} args */
const npx = (program, ...args) => ['npx', '--no-install', program, ...args]

/** @param {string} project */
const vitest = project =>
  npx(
    'vitest',
    'run',
    `--project=${project}`,
    '--reporter=default',
    '--reporter=./scripts/project/vitest-counts.mjs',
  )

/** @type {readonly Stage[]} */
export const STAGES = [
  { name: 'setup', title: 'dependencies, native shim, TypeScript', command: ['scripts/setup'] },
  { name: 'lint', title: 'format and lint', command: npx('biome', 'check', '--error-on-warnings', '.') },
  { name: 'types', title: 'type check', command: npx('tsc', '-p', 'tsconfig.json', '--noEmit') },
  {
    name: 'layers',
    title: 'folders import what their floor allows',
    command: [node, 'scripts/check-layers.mjs'],
  },
  {
    name: 'purity',
    title: 'cores touch no clock, timer or chance',
    command: [node, 'scripts/check-purity.mjs'],
  },
  { name: 'size', title: 'files stay readable', command: [node, 'scripts/check-size.mjs'] },
  { name: 'shim', title: 'native shim under the sanitizers', command: ['scripts/build-shim', '--sanitize'] },
  { name: 'peers', title: 'tools that the tests talk to', command: ['scripts/install-peers'], slow: true },
  { name: 'unit', title: 'unit and integration tests', command: vitest('unit'), counts: true },
  {
    name: 'interop',
    title: 'tests with the kernel and real tools',
    command: vitest('interop'),
    counts: true,
    slow: true,
  },
  { name: 'demo', title: 'the main job, as the README shows it', command: ['scripts/demo'], slow: true },
  {
    name: 'fuzz',
    title: 'fuzz, 14 s for each parser',
    command: ['scripts/fuzz', '--seconds', '14'],
    slow: true,
  },
  { name: 'package', title: 'contents of the package', command: [node, 'scripts/check-package.mjs'] },
  { name: 'docs', title: 'what the documents name is there', command: [node, 'scripts/check-docs.mjs'] },
]
