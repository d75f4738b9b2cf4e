/**
 * Where a test's two ends live: a network namespace whose kernel is the peer, and a TUN link to a node of ours in this process. With
 * PUTNEXT_INTEROP_SIDE=kernel the place of our node is taken by a second namespace behind a veth and `node:net`: what
 * fails there is the test's fault, not the stack's.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import * as nodeNet from 'node:net'
import { LinkControl } from '../../../src/host/links.ts'
import { createNamespace, deleteNamespace, netnsPath } from '../../../src/host/namespace.ts'
import { findProgram } from '../../../src/host/privilege.ts'
import type { Shim } from '../../../src/host/shim.ts'
import { setSysctl } from '../../../src/host/sysctl.ts'
import { shim as loaded, missing } from '../../../src/host/testing/requirements.ts'
import type { Node } from '../../../src/node/node.ts'
import type { ModuleInfo } from '../../../src/streams/index.ts'
import { Program, SEARCH_PATH } from './program.ts'
import { openStackSide } from './stack-side.ts'

export const ON_KERNEL = process.env['PUTNEXT_INTEROP_SIDE'] === 'kernel'
const PYTHONS = ['/usr/bin/python3', 'python3']

/** Where a program is. */
export const programPath = (name: string): string | null => findProgram([name], SEARCH_PATH)

/** What a test needs beside namespaces, by the name under which it is missing. */
export function lacking(...programs: readonly string[]): string {
  const python = programs.includes('scapy') ? (scapyPython === null ? 'no scapy' : '') : ''
  const absent = programs.filter(name => name !== 'scapy' && programPath(name) === null)
  const tools = absent.map(name => `no ${name}`)
  return [missing('shim', 'namespaces', 'tun', 'ip'), python, ...tools].filter(text => text !== '').join(', ')
}

const scapyPython = PYTHONS.find(name => spawnSync(name, ['-c', 'import scapy']).status === 0) ?? null
export const python = scapyPython ?? 'python3'

export const KERNEL4 = '10.77.1.1'
export const KERNEL6 = 'fd77:1::1'
export const STACK4 = '10.77.1.2'
export const STACK6 = 'fd77:1::2'
/** Beyond the router, where a test asks for one. */
export const FAR4 = '10.77.9.2'
export const FAR6 = 'fd77:9::2'

/** RFC 8200 §5: below it the kernel has no IPv6 on a link. */
export const IPV6_MTU_MIN = 1_280

export interface SiteOptions {
  /** Of the link between kernel and stack; 1,500. */
  readonly mtu?: number
  readonly offload?: 'auto' | 'off'
  /** Packets that wait in the kernel for the stack, 500. */
  readonly txqueuelen?: number
  /** Below `net.ipv4.` of the kernel's namespace: `{ tcp_sack: 0 }`. */
  readonly sysctls?: Readonly<Record<string, string | number>>
  /** Modules on the stack's link, from the top down, as in a node's configuration. */
  readonly modules?: readonly (string | Readonly<Record<string, unknown>>)[]
  /** Pushed on the stack's link when it is up. */
  readonly push?: readonly ModuleInfo<null>[]
  /** A file for a capture of the stack's link. */
  readonly capture?: string
  /** Settings of our TCP, as `putnext plumb NODE set tcp` has them. */
  readonly tcp?: Readonly<Record<string, number>>
  /** A host behind the kernel, which forwards. */
  readonly router?: RouterOptions
}

export interface RouterOptions {
  /** Of the router's device towards the host. */
  readonly mtu: number
  /** Of the host's device, 1,500: a veth drops what is longer, and says nothing. */
  readonly farMtu?: number
  /** Longest packet that the host sends, while it announces an MSS for 1,500 bytes. */
  readonly farSends?: number
}

export interface Net {
  connect(options: nodeNet.TcpNetConnectOpts): nodeNet.Socket
  createServer(
    options: nodeNet.ServerOpts | ((socket: nodeNet.Socket) => void),
    listener?: (socket: nodeNet.Socket) => void,
  ): nodeNet.Server
}

/** The end that is under test, in the shape of `node:net`. */
export interface Side {
  readonly net: Net
  /** Ours, for a look inside; null where the kernel stands in. */
  readonly node: Node | null
  /** TCP's counters that are not zero; empty on the kernel. */
  counters(): Record<string, number>
  stopCapture(): Promise<void>
  /** @throws if it did not give everything back */
  close(): Promise<void>
}

/** Settings with which a namespace begins: the kernel's choices that differ from machine to machine. */
const STANDARD = {
  tcp_congestion_control: 'reno',
  tcp_ecn: 2,
  tcp_timestamps: 1,
  tcp_sack: 1,
  // An address can be used at once.
  'net.ipv6.conf.default.accept_dad': 0,
} as const

export class TcpSite {
  /** The kernel's namespace, and the one beyond the router. */
  readonly netns = `pxtcp-${process.pid}-k`
  readonly farNetns = `pxtcp-${process.pid}-f`
  readonly stackNetns = `pxtcp-${process.pid}-s`
  readonly options: SiteOptions
  private readonly shim = loaded as Shim
  private readonly namespaces: string[] = []
  private readonly programs: Program[] = []
  private readonly sockets = new Set<nodeNet.Socket>()
  private readonly servers = new Set<nodeNet.Server>()
  private current: Side | null = null
  /** Where this thread belongs, while it is in another namespace. */
  private home = -1

  private constructor(options: SiteOptions) {
    this.options = options
  }

  static async open(options: SiteOptions = {}): Promise<TcpSite> {
    const site = new TcpSite(options)
    try {
      await site.setUp()
    } catch (error) {
      await site.close()
      throw error
    }
    return site
  }

  private async setUp(): Promise<void> {
    this.namespace(this.netns, { ...STANDARD, ...this.options.sysctls })
    this.current = ON_KERNEL ? this.kernelSide() : await openStackSide(this.netns, this.options)
    if (this.options.router !== undefined) this.addRouter(this.options.router)
  }

  get side(): Side {
    return this.current!
  }

  /** As `node:net`; what is opened by it is closed with the site. */
  readonly net: Net = {
    connect: options => this.remember(this.side.net.connect(options)),
    createServer: (options, listener) => {
      const server = this.side.net.createServer(options as nodeNet.ServerOpts, listener)
      server.prependListener('connection', socket => this.remember(socket))
      this.servers.add(server)
      return server
    },
  }

  counters(): Record<string, number> {
    return this.side.counters()
  }

  /** Starts a program in the kernel's namespace, or another one. It is killed with the site. */
  run(command: string, args: readonly string[] = [], netns = this.netns): Program {
    const program = new Program(netns, command, args)
    this.programs.push(program)
    return program
  }

  /** Runs `ip` to its end. */
  ip(netns: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync('ip', ['-n', netns, ...args], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  /** Sets what is below `net.ipv4.`, or `net.ipv6.` where the name says so. */
  sysctl(netns: string, name: string, value: string | number): void {
    const full = name.startsWith('net.') ? name : `net.ipv4.${name}`
    setSysctl(this.shim, netnsPath(netns), full, value)
  }

  /** What a program needs to make packets for the stack: nothing on a TUN link, an address on a veth. */
  linkLayer(): string[] {
    if (!ON_KERNEL) return []
    const [own, other] = [this.netns, this.stackNetns].map(
      (name, i) => /link\/ether (\S+)/.exec(this.ip(name, 'link', 'show', ['tun0', 'v0'][i]!))![1]!,
    )
    for (const address of ['10.77.1.9', 'fd77:1::9'])
      this.ip(this.stackNetns, 'neighbour', 'add', address, 'lladdr', own!, 'dev', 'v0')
    return [other!, '--no-checksums']
  }

  async close(): Promise<void> {
    for (const program of this.programs) program.kill()
    await Promise.all(this.programs.map(program => program.ended))
    for (const server of this.servers) if (server.listening) server.close()
    for (const socket of this.sockets) socket.on('error', () => {}).destroy()
    try {
      await this.current?.close()
    } finally {
      this.goHome()
      for (const name of this.namespaces.splice(0)) deleteNamespace(this.shim, name)
    }
  }

  private remember(socket: nodeNet.Socket): nodeNet.Socket {
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
    return socket
  }

  private namespace(name: string, sysctls: Readonly<Record<string, string | number>>): void {
    createNamespace(this.shim, name)
    this.namespaces.push(name)
    this.control(name, links => links.setUp('lo'))
    for (const [key, value] of Object.entries(sysctls)) this.sysctl(name, key, value)
  }

  private control(netns: string, change: (links: LinkControl) => void): void {
    using links = new LinkControl(this.shim, netnsPath(netns))
    change(links)
  }

  /** `node:net` in a namespace of its own: this thread goes there until {@link close}. */
  private kernelSide(): Side {
    const { mtu = 1_500 } = this.options
    this.namespace(this.stackNetns, { ...STANDARD, tcp_rfc1337: 1 })
    this.control(this.netns, links => {
      links.createVeth(
        'tun0',
        { name: 'v0', namespace: netnsPath(this.stackNetns), up: true, mtu },
        { up: true, mtu },
      )
      links.addAddress('tun0', `${KERNEL4}/24`)
      if (mtu >= IPV6_MTU_MIN) links.addAddress('tun0', `${KERNEL6}/64`)
    })
    this.control(this.stackNetns, links => {
      links.addAddress('v0', `${STACK4}/24`)
      links.addRoute({ to: '0.0.0.0/0', via: KERNEL4 })
      if (mtu < IPV6_MTU_MIN) return
      links.addAddress('v0', `${STACK6}/64`)
      links.addRoute({ to: '::/0', via: KERNEL6 })
    })
    if (this.options.offload === 'off') this.ip(this.stackNetns, 'link', 'set', 'v0', 'gso_max_segs', '1')
    this.home = openSync('/proc/thread-self/ns/net', 'r')
    this.shim.nsEnter(netnsPath(this.stackNetns))
    return {
      net: nodeNet as Net,
      node: null,
      counters: () => ({}),
      stopCapture: async () => {},
      close: async () => {},
    }
  }

  private goHome(): void {
    if (this.home < 0) return
    this.shim.nsEnter(`/proc/self/fd/${this.home}`)
    closeSync(this.home)
    this.home = -1
  }

  private addRouter({ mtu, farMtu = 1_500, farSends = Math.min(mtu, farMtu) }: RouterOptions): void {
    this.namespace(this.farNetns, STANDARD)
    this.sysctl(this.netns, 'ip_forward', 1)
    this.sysctl(this.netns, 'net.ipv6.conf.all.forwarding', 1)
    const v6 = Math.min(mtu, farMtu) >= IPV6_MTU_MIN
    this.control(this.netns, links => {
      const far = { name: 'far0', namespace: netnsPath(this.farNetns), up: true, mtu: farMtu }
      links.createVeth('near0', far, { up: true, mtu })
      links.addAddress('near0', '10.77.9.1/24')
      if (v6) links.addAddress('near0', 'fd77:9::1/64')
    })
    this.control(this.farNetns, links => {
      links.addAddress('far0', `${FAR4}/24`)
      if (v6) links.addAddress('far0', `${FAR6}/64`)
    })
    const sends = ['mtu', 'lock', String(farSends)]
    this.ip(this.farNetns, 'route', 'add', 'default', 'via', '10.77.9.1', ...sends, 'advmss', '1460')
    if (v6)
      this.ip(this.farNetns, '-6', 'route', 'add', 'default', 'via', 'fd77:9::1', ...sends, 'advmss', '1440')
  }
}
