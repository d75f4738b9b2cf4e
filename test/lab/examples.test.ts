/** The examples as a user runs them: by the command, with the kernel's ping and UDP programs. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missing, shim, titled } from '../../src/host/testing/requirements.ts'
import { type HostState, hostState, NO_STATE, run, temporaryState } from './host-state.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const CLI = `${ROOT}dist/cli/main.js`
const ECHO = `${ROOT}scripts/project/udp-echo.mjs`
const reason = missing('shim', 'namespaces', 'tun', 'ip') || (existsSync(CLI) ? '' : 'dist/ is not compiled')
const noPing = run('ping', ['-V']).code === 0 ? '' : 'no ping'

const example = (name: string): string => `${ROOT}docs/examples/labs/${name}.yaml`

function inNamespace(namespace: string, ...command: string[]): { code: number; text: string } {
  return run('ip', ['netns', 'exec', namespace, ...command])
}

describe.skipIf(reason !== '')(titled('the example labs, in namespaces', reason), () => {
  let state = NO_STATE

  function putnext(...args: string[]): { code: number; text: string } {
    return run('env', [`PUTNEXT_STATE_DIR=${state.path}`, process.execPath, CLI, ...args])
  }
  function result(...args: string[]): Record<string, unknown> {
    const { code, text } = putnext(...args, '--json')
    expect(text, `exit code ${code}`).toMatch(/^\{.*\}\n$/)
    return (JSON.parse(text) as { result: Record<string, unknown> }).result
  }
  /** Datagrams that come back from port 7, asked from kernel sockets. */
  function echoes(namespace: string, address: string, count: number): number {
    const { text } = inNamespace(namespace, process.execPath, ECHO, address, '7', String(count))
    return (JSON.parse(text) as { received: number }).received
  }
  function pings(namespace: string, address: string, count: number): number {
    const { text } = inNamespace(namespace, 'ping', '-q', '-f', '-W1', `-c${count}`, address)
    return Number(/(\d+) received/.exec(text)?.[1] ?? -1)
  }

  describe('inetd.yaml', () => {
    let before: HostState
    beforeAll(() => {
      state = temporaryState()
      before = hostState(shim!, 'inetd', state.path)
      expect(putnext('lab', 'up', example('inetd'))).toMatchObject({ code: 0 })
    })
    afterAll(() => {
      expect(putnext('lab', 'down', example('inetd'))).toMatchObject({ code: 0 })
      expect(hostState(shim!, 'inetd', state.path)).toEqual({ ...before, files: [] })
      state.remove()
    })

    it('up twice is a no-op that says so', () => {
      expect(result('lab', 'up', example('inetd'))).toMatchObject({ name: 'inetd', result: 'already' })
    })

    it.skipIf(noPing !== '')(
      titled("the kernel's ping is answered, both families, none lost", noPing),
      () => {
        expect(pings('inetd-n1', '10.77.1.2', 500)).toBe(500)
        expect(pings('inetd-n1', 'fd77:1::2', 500)).toBe(500)
      },
    )

    it('echo answers kernel sockets, both families', () => {
      expect(echoes('inetd-n1', '10.77.1.2', 100)).toBe(100)
      expect(echoes('inetd-n1', 'fd77:1::2', 100)).toBe(100)
    })

    it('the device has the MTU of the file, and the addresses of the kernel side', () => {
      const { text } = inNamespace('inetd-n1', 'ip', 'addr', 'show', 'tun0')
      for (const part of ['mtu 1500', '10.77.1.1/24', 'fd77:1::1/64']) expect(text).toContain(part)
    })

    it('status and logs tell of the node', () => {
      const { labs } = result('lab', 'status', 'inetd')
      expect(labs).toMatchObject([
        { name: 'inetd', nodes: [{ name: 'n1', state: 'running', healthy: true }] },
      ])
      expect(putnext('lab', 'logs', 'inetd/n1').text).toContain('node.started')
    })

    it('a program in the namespace has its exit code passed on', () => {
      expect(putnext('lab', 'exec', 'n1', '--', 'sh', '-c', 'exit 5').code).toBe(5)
      expect(putnext('lab', 'exec', 'n9', '--', 'true')).toMatchObject({ code: 1 })
      expect(putnext('lab', 'exec', 'n1').code).toBe(2)
    })
  })

  describe('pair.yaml', () => {
    let before: HostState
    beforeAll(() => {
      state = temporaryState()
      before = hostState(shim!, 'pair', state.path)
      expect(putnext('lab', 'up', example('pair'))).toMatchObject({ code: 0 })
    })
    afterAll(() => {
      expect(putnext('lab', 'down', 'pair')).toMatchObject({ code: 0 })
      expect(hostState(shim!, 'pair', state.path)).toEqual({ ...before, files: [] })
      state.remove()
    })

    const stackPing = (node: string, address: string): number => {
      const { summary } = result('ping', node, address, '-c', '5', '-i', '10ms', '-W', '300ms')
      return (summary as { received: number }).received
    }

    it('the nodes reach each other, over two devices and a wire, both families', () => {
      expect(stackPing('pair/n1', '10.77.2.2')).toBe(5)
      expect(stackPing('pair/n2', 'fd77:1::2')).toBe(5)
    })

    it.skipIf(noPing !== '')(titled('the kernel host and the nodes reach each other', noPing), () => {
      for (const address of ['10.77.1.2', 'fd77:1::2', '10.77.2.2', 'fd77:2::2'])
        expect([address, pings('pair-host', address, 100)]).toEqual([address, 100])
      expect(stackPing('pair/n1', '10.77.3.2')).toBe(5)
      expect(echoes('pair-host', 'fd77:1::2', 50)).toBe(50)
    })

    it('a link is made slow and good again while all run', () => {
      expect(putnext('lab', 'fault', 'impair', 'n1--n2', '--delay', '15ms')).toMatchObject({ code: 0 })
      const { summary } = result('ping', 'pair/n1', '10.77.2.2', '-c', '3', '-i', '10ms')
      expect((summary as { rtt: { min: number } }).rtt.min).toBeGreaterThanOrEqual(29)
      expect(result('lab', 'status', 'pair')).toMatchObject({
        labs: [{ links: [{ impair: { delay: '15ms' } }, {}] }],
      })
      const local = result('ping', 'pair/n2', '10.77.3.2', '-c', '3', '-i', '10ms')
      expect((local['summary'] as { rtt: { max: number } }).rtt.max).toBeLessThan(29)
      expect(putnext('lab', 'fault', 'impair', 'n1--n2', '--loss', 'much').code).toBe(78)
      expect(putnext('lab', 'fault', 'clear', 'n1--n2')).toMatchObject({ code: 0 })
      const after = result('ping', 'pair/n1', '10.77.2.2', '-c', '3', '-i', '10ms')
      expect((after['summary'] as { rtt: { min: number } }).rtt.min).toBeLessThan(15)
    })

    it("what a kernel host sends over a bad link is spoilt as it arrives at a stack, its own stack's neighbours not", () => {
      expect(putnext('lab', 'fault', 'impair', 'n2--host', '--delay', '15ms')).toMatchObject({ code: 0 })
      // 15 ms when the request arrives at n1, 15 ms when the answer leaves it.
      const { text } = inNamespace('pair-host', 'ping', '-q', '-c2', '-i0.2', '10.77.1.2')
      expect(Number(/= ([\d.]+)\//.exec(text)?.[1])).toBeGreaterThanOrEqual(29)
      expect(putnext('lab', 'fault', 'clear', 'n2--host')).toMatchObject({ code: 0 })
    })

    it('a cut link, a partition, and their end', () => {
      putnext('lab', 'fault', 'down', 'n1--n2')
      expect(stackPing('pair/n1', '10.77.2.2')).toBe(0)
      putnext('lab', 'fault', 'up', 'n1--n2')
      expect(stackPing('pair/n1', '10.77.2.2')).toBe(5)
      putnext('lab', 'fault', 'partition', 'n1', 'n2,host')
      expect(stackPing('pair/n1', '10.77.2.2')).toBe(0)
      expect(stackPing('pair/n2', '10.77.3.2')).toBe(5)
      putnext('lab', 'fault', 'heal')
      expect(stackPing('pair/n1', 'fd77:3::2')).toBe(5)
    })

    it('a node killed, started, paused, continued', () => {
      const stateOf = (): string => {
        const { labs } = result('lab', 'status', 'pair')
        return (labs as unknown as { nodes: { state: string }[] }[])[0]!.nodes[0]!.state
      }
      expect(putnext('lab', 'fault', 'kill', 'pair/n1')).toMatchObject({ code: 0 })
      expect(stateOf()).toBe('stopped')
      expect(putnext('lab', 'status', 'pair').code).toBe(3)
      expect(putnext('lab', 'prune').code).toBe(0)
      expect(putnext('lab', 'fault', 'start', 'pair/n1')).toMatchObject({ code: 0 })
      expect(stackPing('pair/n2', '10.77.1.2')).toBe(5)
      putnext('lab', 'fault', 'pause', 'pair/n1')
      expect(stateOf()).toBe('paused')
      expect(stackPing('pair/n2', '10.77.1.2')).toBe(0)
      putnext('lab', 'fault', 'continue', 'pair/n1')
      expect(stackPing('pair/n2', '10.77.1.2')).toBe(5)
      expect(putnext('lab', 'fault', 'restart', 'pair/n2')).toMatchObject({ code: 0 })
      expect(stackPing('pair/n1', '10.77.2.2')).toBe(5)
      expect(putnext('lab', 'fault', 'kill', 'pair/host')).toMatchObject({ code: 1 })
    })
  })
})
