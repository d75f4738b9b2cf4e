import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { missing, titled } from '../host/testing/requirements.ts'
import { attach } from '../ipc/index.ts'
import type { EchoResult } from '../node/network.ts'
import { InprocLab } from './inproc-lab.ts'
import { inprocConfigOf, wiresOf } from './inproc-wiring.ts'
import { parseLab, readLab } from './lab-file.ts'
import { nodeOf } from './topology.ts'

const shimReason = missing('shim')
const PAIR = new URL('../../docs/examples/labs/pair.yaml', import.meta.url).pathname

function ping(lab: InprocLab, from: string, address: string, timeoutMs = 300): Promise<EchoResult> {
  return lab.node(from).network.ping({ address, sequence: 1, bytes: 56, timeoutMs })
}

const SEGMENT = `version: 1
name: seg
nodes: {a: {services: [echo]}, b: , c: , d: }
links:
  - {segment: lan, members: [a, b, c]}
  - c -- d
`

describe('lab/inproc-wiring', () => {
  it('a segment is a wire between each two of its members', () => {
    const topology = parseLab('f', SEGMENT, { mode: 'inproc' })
    const wires = wiresOf(topology)
    expect(wires.map(wire => wire.nodes.join('-'))).toEqual(['a-b', 'a-c', 'b-c', 'c-d'])
    const config = inprocConfigOf(topology, nodeOf(topology, 'c'), wires, null)
    expect(config.links!.map(link => link.name)).toEqual(['self', 'eth0.0', 'eth0.1', 'eth1'])
    expect(config.routes).toContainEqual({ to: '10.77.1.0/24', link: 'eth0.0' })
  })
})

describe('lab/inproc-lab: one process', () => {
  it('pair.yaml: every node reaches every other, both families, and no memory is lost', async () => {
    const said: string[] = []
    const lab = await InprocLab.start(readLab(PAIR, { mode: 'inproc' }), { say: text => said.push(text) })
    try {
      expect(said.join('\n')).toContain('host is a kernel host')
      for (const from of lab.topology.nodes)
        for (const to of lab.topology.nodes)
          for (const address of to.addresses)
            expect(await ping(lab, from.name, address.split('/')[0]!)).toMatchObject({ kind: 'reply' })
    } finally {
      expect(await lab.close()).toBe(true)
    }
  })

  it('members of a segment reach each other and what lies behind one of them', async () => {
    await using lab = await InprocLab.start(parseLab('f', SEGMENT, { mode: 'inproc' }))
    for (const [from, to] of [
      ['a', '10.77.2.2'],
      ['b', '10.78.1.1'],
      ['a', '10.77.4.2'],
      ['d', 'fd77:1::2'],
    ] as const)
      expect([from, to, await ping(lab, from, to)]).toMatchObject([from, to, { kind: 'reply' }])
  })

  it('a link is cut and joined, made bad and good again, while packets flow', async () => {
    await using lab = await InprocLab.start(readLab(PAIR, { mode: 'inproc' }))
    lab.setLink('n1--n2', 'down')
    expect(await ping(lab, 'n1', '10.77.2.2', 100)).toMatchObject({ kind: 'timeout' })
    lab.setLink('n1--n2', 'up')
    expect(await ping(lab, 'n1', '10.77.2.2')).toMatchObject({ kind: 'reply' })
    lab.impair('n1--n2', { delay: '20ms' })
    const slow = await ping(lab, 'n1', '10.77.2.2')
    expect(slow).toMatchObject({ kind: 'reply' })
    expect((slow as { milliseconds: number }).milliseconds).toBeGreaterThanOrEqual(39)
    lab.impair('n1--n2', null)
    expect(((await ping(lab, 'n1', '10.77.2.2')) as { milliseconds: number }).milliseconds).toBeLessThan(20)
    expect(() => lab.impair('n1--n3', null)).toThrow('no link n1--n3')
  })

  it.skipIf(shimReason !== '')(
    titled('ipc: a program of another process would reach the node by its port', shimReason),
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'putnext-lab-'))
      const sockets = (node: string) => ({
        control: join(folder, `${node}.sock`),
        ipc: join(folder, `${node}.ipc`),
      })
      try {
        const text = 'version: 1\nname: x\nnodes: {a: {ipc: true}, b: }\nlinks: [a -- b]\n'
        await using lab = await InprocLab.start(parseLab('f', text, { mode: 'inproc' }), { sockets })
        expect(readdirSync(folder).sort()).toEqual(['a.ipc', 'a.sock', 'b.sock'])
        await using client = await attach(sockets('a').ipc)
        expect(client.node.name).toBe('a')
        expect(lab.names).toEqual(['a', 'b'])
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  )

  it('a node that stops is not there any more, the others go on', async () => {
    await using lab = await InprocLab.start(readLab(PAIR, { mode: 'inproc' }))
    await lab.stopNode('n2')
    expect(() => lab.node('n2')).toThrow('no node n2')
    expect((await ping(lab, 'n1', '10.77.2.2', 100)).kind).not.toBe('reply')
    expect(await ping(lab, 'n1', '10.77.1.2')).toMatchObject({ kind: 'reply' })
  })

  it('a node that cannot start takes the others with it, and says why', async () => {
    const text = 'version: 1\nname: x\nnodes: {a: , b: {modules: [no-such-module]}}\nlinks: [a -- b]\n'
    await expect(InprocLab.start(parseLab('f', text, { mode: 'inproc' }))).rejects.toThrow('no-such-module')
  })
})
