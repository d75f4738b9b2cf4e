/** A SYN flood at the device's full rate, and honest clients in the middle of it (RFC 4987). */
import { readFileSync } from 'node:fs'
import { setSysctl } from '../host/sysctl.ts'
import { at, runPeer } from './peers.ts'
import type { BenchSite } from './site.ts'
import { type Arm, type LoadTimes, NodeArm } from './tcp-arms.ts'
import { PORT_DISCARD } from './tcp-ports.ts'
import { FAR } from './tcp-site.ts'

/** Honest connections under way at a time. */
const HONEST = 16
const PAGE_BYTES = 4_096
/** For the flood to be on its way before the honest begin, and to last until they have ended. */
const AROUND_SECONDS = 1

export class FloodArm implements Arm {
  readonly name = 'node'
  readonly title = 'Putnext node'
  private readonly node: NodeArm

  constructor(site: BenchSite) {
    this.node = new NodeArm(site, true, 'flood')
    const { shim, namespace } = this.node.place
    setSysctl(shim, namespace, 'net.ipv4.tcp_tw_reuse', 1)
    setSysctl(shim, namespace, 'net.ipv4.ip_local_port_range', '1024 65000')
  }

  start(): Promise<void> {
    return this.node.start()
  }

  async run({ seconds, warmupSeconds, signal }: LoadTimes): Promise<Record<string, number>> {
    const { inside, place } = this.node
    const args = [FAR, String(PORT_DISCARD)]
    // Memory that any load makes the process touch once is not the flood's.
    await runPeer(at(place, 'near'), 'syn-flood', args, { seconds: 0.5, warmupSeconds: 0, signal })
    const before = { rss: residentBytes(inside.pid), tcp: await inside.tcpCounters() }
    const flooding = runPeer(at(place, 'near'), 'syn-flood', args, {
      seconds: seconds + warmupSeconds + 2 * AROUND_SECONDS,
      warmupSeconds: 0,
      signal,
    })
    await new Promise(resolve => setTimeout(resolve, AROUND_SECONDS * 1_000))
    const churn = ['churn', ...args, `--connections=${HONEST}`]
    const honest = await runPeer(place, 'tcp-load', churn, { seconds, warmupSeconds, signal })
    const flood = await flooding
    const after = { rss: residentBytes(inside.pid), tcp: await inside.tcpCounters() }
    const counted = (name: string): number => (after.tcp[name] ?? 0) - (before.tcp[name] ?? 0)
    const floodSeconds = seconds + warmupSeconds + 2 * AROUND_SECONDS
    return {
      'SYNs sent/s': flood['perSecond'] as number,
      'SYNs taken/s': counted('syn-in') / floodSeconds,
      'cookies/s': counted('syn-cookies-sent') / floodSeconds,
      'honest connections/s': honest['perSecond'] as number,
      failed: honest['failed'] as number,
      'grown MB': (after.rss - before.rss) * 1e-6,
    }
  }

  stop(): Promise<void> {
    return this.node.stop()
  }
}

/** @see proc_pid_statm(5) */
function residentBytes(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES
}
