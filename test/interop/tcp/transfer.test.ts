/** Bulk data between the kernel's TCP and ours, both ways at once, both openings, both families. */
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { titled } from '../../../src/host/testing/requirements.ts'
import { fromKernel, toKernel } from './connection.ts'
import type { KernelPeer } from './kernel-peer.ts'
import { KERNEL4, KERNEL6, lacking, type SiteOptions, STACK4, STACK6, TcpSite } from './site.ts'
import { drain, pour } from './traffic.ts'

const reason = lacking('python3')
const MIB = 1024 * 1024

let site: TcpSite

/** Sends and takes so many bytes at both ends, and compares. */
async function exchange(socket: Socket, peer: KernelPeer, bytes: number): Promise<void> {
  const [ours, theirs] = await Promise.all([pour(socket, bytes), drain(socket)])
  const events = await peer.end()
  const sent = events.find(({ event }) => event === 'sent')
  const received = events.find(({ event }) => event === 'received')
  expect(received).toMatchObject({ ...ours, ended: true })
  expect(sent).toMatchObject({ ...theirs, bytes })
}

async function kernelConnects(address: string, bytes: number): Promise<void> {
  const { socket, peer } = await fromKernel(site, [{ do: 'exchange', bytes }], { address })
  await exchange(socket, peer, bytes)
}

async function weConnect(address: string, bytes: number): Promise<void> {
  const { socket, peer } = await toKernel(site, [{ do: 'exchange', bytes }], { address })
  await exchange(socket, peer, bytes)
}

describe.skipIf(reason !== '')(titled('bulk data with the kernel', reason), () => {
  afterEach(() => site?.close())

  const links: readonly (SiteOptions & { title: string; bytes: number })[] = [
    { title: 'MTU 1500', bytes: 32 * MIB },
    { title: 'MTU 1280', mtu: 1_280, bytes: 16 * MIB },
    { title: 'MTU 9000', mtu: 9_000, bytes: 32 * MIB },
    { title: 'MTU 65520', mtu: 65_520, bytes: 32 * MIB },
    { title: 'MTU 1500, no offload', offload: 'off', bytes: 8 * MIB },
    { title: 'MTU 9000, no offload', offload: 'off', mtu: 9_000, bytes: 8 * MIB },
    { title: 'MTU 576, IPv4 only, no offload', offload: 'off', mtu: 576, bytes: 2 * MIB },
  ]

  it.each(links)('arrives whole, both ways at once: $title', async ({ title: _, bytes, ...options }) => {
    site = await TcpSite.open(options)
    await kernelConnects(STACK4, bytes)
    await weConnect(KERNEL4, bytes)
    if ((options.mtu ?? 1_500) < 1_280) return
    await kernelConnects(STACK6, bytes)
    await weConnect(KERNEL6, bytes)
  })

  it('arrives whole on sixteen connections at once', async () => {
    site = await TcpSite.open()
    const each = Array.from({ length: 16 }, (_, i) =>
      i % 2 === 0 ? kernelConnects(STACK4, MIB) : weConnect(KERNEL6, MIB),
    )
    await Promise.all(each)
  })
})
