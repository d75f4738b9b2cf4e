import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StackError } from '../../src/base/errors.ts'
import { createNamespace, deleteNamespace, namespaceExists, netnsPath } from '../../src/host/namespace.ts'
import { missing, shim, titled } from '../../src/host/testing/requirements.ts'
import { execInNode } from '../../src/lab/exec.ts'
import { Journal } from '../../src/lab/journal.ts'
import { LabDirectory } from '../../src/lab/lab-directory.ts'
import { parseLab } from '../../src/lab/lab-file.ts'
import { setLink, setPartition } from '../../src/lab/link-faults.ts'
import { labMark, MARK_VARIABLE, recordOf } from '../../src/lab/marks.ts'
import { pruneLabs } from '../../src/lab/prune.ts'
import { removeLab } from '../../src/lab/remove.ts'
import { RunningLab } from '../../src/lab/running-lab.ts'
import { labStatus } from '../../src/lab/status.ts'
import type { Topology } from '../../src/lab/topology.ts'
import { bringUp } from '../../src/lab/up.ts'
import { type HostState, hostState, NO_STATE, run, temporaryState } from './host-state.ts'

const reason = missing('shim', 'namespaces', 'ip')
const noPing = run('ping', ['-V']).code === 0 ? '' : 'no ping'

/** Kernel hosts only: what the lab itself makes, without nodes. */
const TEXT = `version: 1
name: pnt
nodes:
  a: {kind: linux, exec: ["echo hello from $(cat /proc/sys/net/ipv4/ip_forward)"]}
  b: {kind: linux, congestion: reno}
  c: {kind: linux, depends_on: {a: healthy}}
  d: {kind: linux}
links:
  - a -- b
  - b -- c
  - {segment: office, members: ["a:lan", c, d], mtu: 1400}
`

describe.skipIf(reason !== '')(titled('lab in namespaces, kernel hosts only', reason), () => {
  let state = NO_STATE
  let before: HostState
  const topology: Topology = parseLab('pnt.yaml', TEXT)
  const options = () => ({ shim: shim!, state: state.path })
  const lab = (): RunningLab => new RunningLab('pnt', shim!, state.path)

  beforeEach(() => {
    state = temporaryState()
    before = hostState(shim!, 'pnt', state.path)
  })
  afterEach(async () => {
    await pruneLabs({ shim: shim!, state: state.path, all: true })
    expect(hostState(shim!, 'pnt', state.path)).toEqual(before)
    state.remove()
  })

  const reaches = (from: string, to: string): boolean =>
    run('ip', ['netns', 'exec', `pnt-${from}`, 'ping', '-c1', '-W1', to]).code === 0

  it('up is seen by ip netns, twice is a no-op that says so, down leaves nothing and may be repeated', async () => {
    expect(await bringUp(topology, options())).toBe('up')
    const made = ['pnt-a', 'pnt-b', 'pnt-c', 'pnt-d', 'pnt-fabric']
    expect(hostState(shim!, 'pnt', state.path).namespaces).toEqual(made)
    expect(run('ip', ['netns']).text).toContain('pnt-a')
    expect(await bringUp(topology, options())).toBe('already')
    const other = parseLab('pnt.yaml', TEXT.replace('1400', '1500'))
    await expect(bringUp(other, options())).rejects.toMatchObject({ code: 'ERR_ALREADY' })
    const directory = new LabDirectory('pnt', state.path)
    expect(await removeLab(directory, shim!)).toEqual({ processes: 0, namespaces: 5, foreign: [] })
    expect(await removeLab(directory, shim!)).toEqual({ processes: 0, namespaces: 0, foreign: [] })
    expect(hostState(shim!, 'pnt', state.path)).toEqual(before)
  })

  it.skipIf(noPing !== '')(
    titled('every pair of hosts talks, both families, over links and the segment', noPing),
    async () => {
      await bringUp(topology, options())
      for (const from of topology.nodes)
        for (const to of topology.nodes)
          for (const address of to.addresses)
            expect([from.name, address, reaches(from.name, address.split('/')[0]!)]).toEqual([
              from.name,
              address,
              true,
            ])
    },
  )

  it('commands run with forwarding on, programs run in a namespace, the kernel has the TCP that was asked for', async () => {
    await bringUp(topology, options())
    expect(run('cat', [new LabDirectory('pnt', state.path).log('a')]).text).toBe('hello from 1\n')
    expect(await execInNode(lab(), 'b', ['sh', '-c', 'exit 7'], undefined, 'ignore')).toBe(7)
    const congestion = ['netns', 'exec', 'pnt-b', 'cat', '/proc/sys/net/ipv4/tcp_congestion_control']
    expect(run('ip', congestion).text).toBe('reno\n')
    await expect(execInNode(lab(), 'b', ['no-such-program'], undefined, 'ignore')).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
  })

  it.skipIf(noPing !== '')(titled('links are cut and joined, groups parted and healed', noPing), async () => {
    await bringUp(topology, options())
    setLink(lab(), 'a--b', 'down')
    expect(reaches('a', '10.77.2.2')).toBe(false)
    expect((await labStatus(lab())).links[0]!.state).toBe('down')
    setLink(lab(), 'b--a', 'up')
    expect(reaches('a', '10.77.2.2')).toBe(true)
    expect(reaches('a', 'fd77:2::2')).toBe(true)
    setPartition(lab(), [['a', 'b'], ['c']])
    expect(reaches('a', '10.77.2.2')).toBe(true)
    expect(reaches('c', '10.77.4.2')).toBe(false)
    expect(reaches('b', '10.77.3.2')).toBe(false)
    expect(() => setPartition(lab(), [['a'], ['a']])).toThrow('two groups')
    setPartition(lab(), null)
    for (const address of ['10.77.2.2', '10.77.3.2', 'fd77:4::2']) expect(reaches('a', address)).toBe(true)
  })

  it('a command that fails takes all back, and says which and why', async () => {
    const bad = parseLab('pnt.yaml', TEXT.replace('echo hello', 'echo no such luck; exit 3; echo'))
    const error = await bringUp(bad, options()).then(
      () => null,
      (caught: unknown) => caught as StackError,
    )
    expect(error).toBeInstanceOf(StackError)
    expect(error!.message).toContain('exit code 3')
    expect(error!.message).toContain('no such luck')
    expect(hostState(shim!, 'pnt', state.path)).toEqual(before)
  })

  it('an interrupt takes all back', async () => {
    const controller = new AbortController()
    const reasonGiven = new Error('enough')
    let entries = 0
    const promise = bringUp(topology, {
      ...options(),
      signal: controller.signal,
      onJournal: () => {
        if (++entries === 6) controller.abort(reasonGiven)
      },
    })
    await expect(promise).rejects.toBe(reasonGiven)
    expect(hostState(shim!, 'pnt', state.path)).toEqual(before)
  })

  it("a namespace of somebody else's with a name of ours is refused, and still there afterwards", async () => {
    createNamespace(shim!, 'pnt-c')
    try {
      await expect(bringUp(topology, options())).rejects.toMatchObject({ code: 'ERR_ALREADY' })
      expect(namespaceExists('pnt-c')).toBe(true)
      expect(hostState(shim!, 'pnt', state.path).namespaces).toEqual(['pnt-c'])
    } finally {
      deleteNamespace(shim!, 'pnt-c')
    }
  })

  it("prune leaves whole labs alone, and namespaces that were made anew under a lab's name", async () => {
    await bringUp(topology, options())
    expect(await pruneLabs(options())).toMatchObject([{ name: 'pnt', condition: 'whole', removal: null }])
    deleteNamespace(shim!, 'pnt-d')
    createNamespace(shim!, 'pnt-d')
    run('ip', ['netns', 'exec', 'pnt-d', 'ip', 'link', 'set', 'lo', 'up'])
    const [pruned] = await pruneLabs({ ...options(), all: true })
    expect(pruned!.removal).toMatchObject({ foreign: ['pnt-d'] })
    expect(hostState(shim!, 'pnt', state.path).namespaces).toEqual(['pnt-d'])
    deleteNamespace(shim!, 'pnt-d')
  })

  it('prune finds what was made between an entry of the journal and the mark: killed commands leave such things', async () => {
    const directory = new LabDirectory('pnt', state.path)
    const dead = { pid: process.pid, startTime: '1' }
    directory.claim({ kind: 'lab', name: 'pnt', id: 'killed', ...dead }, recordOf(process.pid)!)
    using journal = new Journal(directory.journal)
    for (const name of ['pnt-a', 'pnt-b']) journal.write({ kind: 'namespace', name })
    journal.write({ kind: 'process', node: 'a' })
    // Made, not marked; announced as a file, not made; started, not written down.
    createNamespace(shim!, 'pnt-a')
    writeFileSync(netnsPath('pnt-b'), '')
    const env = { ...process.env, [MARK_VARIABLE]: labMark('pnt', 'killed') }
    spawn('sleep', ['60'], { env, stdio: 'ignore', detached: true }).unref()
    expect(hostState(shim!, 'pnt', state.path)).toMatchObject({
      namespaces: ['pnt-a', 'pnt-b'],
      processes: [expect.any(String)],
    })
    const [pruned] = await pruneLabs(options())
    expect(pruned).toMatchObject({
      condition: 'half made',
      error: '',
      removal: { processes: 1, namespaces: 2, foreign: [] },
    })
    expect(hostState(shim!, 'pnt', state.path)).toEqual(before)
  })
})
