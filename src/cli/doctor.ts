/** `putnext doctor`: each thing that a node needs, whether it is there, and the remedy. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { StackError } from '../base/errors.ts'
import { loadOptionalPackage } from '../host/optional-package.ts'
import { findProgram, type Privileges, readPrivileges } from '../host/privilege.ts'
import { loadShim } from '../host/shim.ts'
import { OFFLOAD_CSUM, OFFLOAD_TSO4, OFFLOAD_TSO6, OFFLOAD_USO4, OFFLOAD_USO6, openTun } from '../host/tun.ts'
import { makeStateDirectory, stateDirectory } from '../node/state-dir.ts'
import type { CommandRun } from './command.ts'
import { EXIT_DONE, EXIT_FAILED, EXIT_NOT_PERMITTED } from './exit-codes.ts'

/** `privilege` and `missing` keep nodes on devices from running; `optional` is only good to know. */
export type CheckState = 'ok' | 'missing' | 'privilege' | 'optional'

export interface Check {
  readonly name: string
  readonly state: CheckState
  readonly detail: string
  /** What to do about it; '' if nothing has to be done. */
  readonly remedy: string
}

const ok = (name: string, detail: string): Check => ({ name, state: 'ok', detail, remedy: '' })

/** What the probe in a namespace found. */
export type Probe =
  | { readonly kind: 'opened'; readonly how: 'root' | 'user namespace'; readonly offloads: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string }

const NODE_WANTED = [20, 19] as const
const PROBE_TIMEOUT_MS = 20_000
const PROBE_DEVICE = 'doctor0'

export const doctor: CommandRun = async ({ out }) => {
  const privileges = readPrivileges()
  const shim = shimCheck(privileges)
  const probe: Probe =
    shim.state === 'ok' ? probeInNamespace() : { kind: 'refused', reason: 'no native shim' }
  const checks = [
    nodeCheck(process.versions.node),
    shim,
    compilerCheck(privileges, shim.state === 'ok'),
    tunNodeCheck(privileges),
    capabilityCheck(privileges, probe),
    userNamespaceCheck(privileges),
    deviceCheck(probe),
    offloadCheck(probe),
    stateCheck(),
    ...toolChecks(),
  ]
  const code = verdict(checks)
  const can = { netns: probe.kind === 'opened', inproc: true }
  out.report({ checks, can }, () => {
    const width = Math.max(...checks.map(({ name }) => name.length))
    const lines = checks.flatMap(check => checkLines(check, width, out))
    return [...lines, '', summary(code)].join('\n')
  })
  return code
}

const MARKS = { ok: 'ok', missing: 'missing', privilege: 'missing', optional: 'without' } as const
const COLORS = { ok: 'green', missing: 'red', privilege: 'red', optional: 'yellow' } as const

function checkLines(
  check: Check,
  width: number,
  out: { style(style: 'green' | 'red' | 'yellow', text: string): string },
): string[] {
  const { name, state, detail, remedy } = check
  const line = `${out.style(COLORS[state], MARKS[state].padEnd(7))}  ${name.padEnd(width)}  ${detail}`
  return remedy === '' ? [line] : [line, `${' '.repeat(9 + width + 2)}-> ${remedy}`]
}

function summary(code: number): string {
  if (code === EXIT_DONE) return 'Nodes with devices of their own can run here.'
  return 'Nodes in one process (lab up --mode inproc) can run here; for devices, see what is missing above.'
}

/** The exit code for what was found. */
export function verdict(checks: readonly Check[]): number {
  if (checks.some(({ state }) => state === 'missing')) return EXIT_FAILED
  return checks.some(({ state }) => state === 'privilege') ? EXIT_NOT_PERMITTED : EXIT_DONE
}

export function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor, wantedMinor] = NODE_WANTED
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return ok('node', version)
  return {
    name: 'node',
    state: 'missing',
    detail: version,
    remedy: `install Node ${NODE_WANTED.join('.')} or newer`,
  }
}

function shimCheck({ compiler }: Privileges): Check {
  try {
    loadShim()
    return ok('native shim', 'loads')
  } catch (error) {
    const detail = error instanceof StackError ? error.message.split(';')[0]! : String(error)
    const remedy =
      compiler === null ? 'install a C compiler, then run scripts/build-shim' : 'run scripts/build-shim'
    return { name: 'native shim', state: 'missing', detail, remedy }
  }
}

function compilerCheck({ compiler }: Privileges, built: boolean): Check {
  if (compiler !== null) return ok('C compiler', compiler)
  const detail = built ? 'none, and the shim is built already' : 'none'
  const remedy = built ? '' : 'install one, as gcc or clang (Debian: apt-get install gcc)'
  return { name: 'C compiler', state: 'optional', detail, remedy }
}

export function tunNodeCheck({ tun }: Pick<Privileges, 'tun'>): Check {
  const name = '/dev/net/tun'
  switch (tun.state) {
    case 'ok':
      return ok(name, `opens (mode ${tun.mode})`)
    case 'denied':
      return {
        name,
        state: 'privilege',
        detail: `its mode ${tun.mode} forbids it`,
        remedy: `run as root, or let it be opened: chmod 666 ${name} (the kernel still asks for CAP_NET_ADMIN)`,
      }
    case 'dead':
      return { name, state: 'missing', detail: 'no driver behind it', remedy: 'modprobe tun' }
    case 'missing':
      return {
        name,
        state: 'missing',
        detail: 'not there',
        remedy: 'modprobe tun; in a container: --device /dev/net/tun',
      }
  }
}

export function capabilityCheck(
  { capabilities, uid }: Pick<Privileges, 'capabilities' | 'uid'>,
  probe: Probe,
): Check {
  const name = 'CAP_NET_ADMIN'
  if (capabilities.includes(name)) return ok(name, uid === 0 ? 'as root' : `as user ${uid}`)
  const detail = `not in this process (user ${uid})`
  if (probe.kind === 'opened')
    return { name, state: 'optional', detail: `${detail}; a user namespace gives it`, remedy: '' }
  return {
    name,
    state: 'privilege',
    detail,
    remedy: 'run as root (sudo), or in a user namespace: unshare -Urn; in a container: --cap-add NET_ADMIN',
  }
}

function userNamespaceCheck({ userNamespacesBarredBy: bar, inUserNamespace }: Privileges): Check {
  const name = 'user namespaces'
  if (inUserNamespace) return ok(name, 'we are in one')
  if (bar === '') return ok(name, 'allowed')
  const setting = bar.includes(' = ') ? bar.split(' = ')[0]! : null
  const value =
    setting?.includes('apparmor') === true ? 0 : setting?.includes('max_user') === true ? 15_000 : 1
  const remedy =
    setting === null
      ? 'labs need root here'
      : `sysctl -w ${setting}=${value} (only labs without root need it)`
  return { name, state: 'optional', detail: `barred by ${bar}`, remedy }
}

function deviceCheck(probe: Probe): Check {
  if (probe.kind === 'opened') return ok('TUN device', `opened as ${probe.how}, in a namespace of its own`)
  return { name: 'TUN device', state: 'privilege', detail: probe.reason, remedy: 'see the lines above' }
}

function offloadCheck(probe: Probe): Check {
  const name = 'offload'
  if (probe.kind === 'refused')
    return { name, state: 'optional', detail: 'not known without a device', remedy: '' }
  if (probe.offloads.length > 0) return ok(name, probe.offloads.join(', '))
  return {
    name,
    state: 'optional',
    detail: 'none: packets cross one by one',
    remedy: 'a newer kernel has it',
  }
}

function stateCheck(): Check {
  const directory = stateDirectory()
  try {
    makeStateDirectory(directory)
    accessSync(directory, constants.W_OK)
    return ok('state directory', directory)
  } catch {
    const remedy = 'set PUTNEXT_STATE_DIR to a directory of yours'
    return { name: 'state directory', state: 'privilege', detail: `cannot write to ${directory}`, remedy }
  }
}

function toolChecks(): Check[] {
  const tool = (name: string, use: string, remedy: string): Check => {
    const found = findProgram([name])
    return found === null ? { name, state: 'optional', detail: `${use} do without`, remedy } : ok(name, found)
  }
  const cap = loadOptionalPackage('cap')
  return [
    tool('ip', 'looking at namespaces by hand must', 'Debian: apt-get install iproute2'),
    tool('tshark', 'reading captures must', 'Debian: apt-get install tshark'),
    cap.kind === 'loaded'
      ? ok('package cap', cap.from)
      : { name: 'package cap', state: 'optional', detail: '"capture --kernel" needs it', remedy: cap.remedy },
  ]
}

// ---- the probe, in a process and a namespace of its own

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url))

/** Opens a device where it disturbs nobody: as root in a new network namespace, else in a new user namespace. */
function probeInNamespace(): Probe {
  if (findProgram(['unshare']) === null) return { kind: 'refused', reason: 'no unshare(1) to try it with' }
  const attempts = [
    { how: 'root', flags: ['-n'] },
    { how: 'user namespace', flags: ['-Urn'] },
  ] as const
  let reason = ''
  for (const { how, flags } of attempts) {
    const { stdout, stderr } = spawnSync(
      'unshare',
      [...flags, process.execPath, MAIN, 'doctor-probe', '--json'],
      {
        encoding: 'utf8',
        timeout: PROBE_TIMEOUT_MS,
      },
    )
    const told = readProbe(stdout)
    if (told?.offloads !== undefined) return { kind: 'opened', how, offloads: told.offloads }
    reason = told?.message ?? stderr.trim().split('\n').at(-1) ?? 'no answer'
  }
  return { kind: 'refused', reason }
}

function readProbe(text: string): { offloads?: string[]; message?: string } | null {
  try {
    const envelope = JSON.parse(text) as { result?: { offloads: string[] }; error?: { message: string } }
    return { ...envelope.result, ...envelope.error }
  } catch {
    return null
  }
}

const OFFLOAD_NAMES: readonly (readonly [number, string])[] = [
  [OFFLOAD_CSUM, 'csum'],
  [OFFLOAD_TSO4, 'tso4'],
  [OFFLOAD_TSO6, 'tso6'],
  [OFFLOAD_USO4, 'uso4'],
  [OFFLOAD_USO6, 'uso6'],
]

export const doctorProbe: CommandRun = async ({ out }) => {
  const shim = loadShim()
  const device = openTun(shim, { name: PROBE_DEVICE })
  shim.fdClose(device.fd)
  const offloads = OFFLOAD_NAMES.filter(([bit]) => (device.offloads & bit) !== 0).map(([, name]) => name)
  out.report({ offloads }, offloads.join(' '))
}
