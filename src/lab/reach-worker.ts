/**
 * Runs in a thread of its own, which enters a network namespace for good: asks each address for a UDP port that nobody
 * has, and waits for any answer. An ICMP "port unreachable" is one: the stack lives and its addresses work.
 */
import { createSocket } from 'node:dgram'
import { parentPort, workerData } from 'node:worker_threads'
import { orThrow } from '../host/host-error.ts'
import { loadShim } from '../host/shim.ts'

/** RFC 6335: port 9 discards and answers nothing; the port of traceroute is nobody's. */
const PROBE_PORT = 33_434
const RETRY_MS = 50

interface Order {
  readonly namespace: string
  readonly addresses: readonly string[]
  readonly timeoutMs: number
}

function answers(address: string, deadlineMs: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const finish = (reached: boolean): void => {
      clearInterval(timer)
      socket.close()
      resolve(reached)
    }
    const ask = (): void => {
      if (performance.now() > deadlineMs) finish(false)
      else socket.send(new Uint8Array(1), error => error?.message.includes('ECONNREFUSED') && finish(true))
    }
    const timer = setInterval(() => ask(), RETRY_MS)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') finish(true)
    })
    socket.on('message', () => finish(true))
    socket.connect(PROBE_PORT, address, () => ask())
  })
}

const { namespace, addresses, timeoutMs } = workerData as Order
orThrow(loadShim().nsEnter(namespace), `enter ${namespace}`)
const deadlineMs = performance.now() + timeoutMs
const results = await Promise.all(addresses.map(address => answers(address, deadlineMs)))
parentPort?.postMessage(addresses.filter((_, i) => !results[i]))
