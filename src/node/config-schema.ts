/** What a node's configuration may contain. The committed JSON Schema for editors is made from this. */

import { isIP } from 'node:net'
import * as v from 'valibot'
import { parsePrefix } from '../inet/address.ts'
import { servicesSchema } from './config-services.ts'
import { tcpSchema } from './config-tcp.ts'

/** RFC 791 and RFC 8200 §5: what every link must carry; 65,535 is what a TUN device takes. */
export const MTU_MIN_BYTES = 68
export const MTU_MAX_BYTES = 65_535
export const LINKS_MAX = 64
const ROUTES_MAX = 4_096
const ARENA_MIN_BYTES = 1024 * 1024
const ARENA_MAX_BYTES = 2 ** 31 - 1

const NAME = /^[a-z0-9](?:[a-z0-9.-]{0,30}[a-z0-9])?$/
const LINK_NAME = /^[a-z0-9](?:[a-z0-9_.-]{0,14})$/
/** A Linux interface's name. */
const DEVICE = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,14}$/

const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 }

const described = v.description

const name = v.pipe(
  v.string(),
  v.regex(NAME, 'a name has 1 to 32 lower-case letters, digits, and dots or dashes inside'),
  described('1 to 32 lower-case letters, digits, and dots or dashes inside'),
)

const linkName = v.pipe(
  v.string(),
  v.regex(LINK_NAME, 'a link has 1 to 15 lower-case letters, digits, and _ . - inside'),
  described('1 to 15 lower-case letters, digits, and _ . - inside'),
)

const size = (min: number, max: number) =>
  v.pipe(
    v.union([v.number(), v.string()], 'must be a size as 64MiB, or a number of bytes'),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const match = /^([0-9]+)(KiB|MiB|GiB)?$/.exec(String(dataset.value))
      const bytes = match === null ? Number.NaN : Number(match[1]) * UNIT_BYTES[match[2] ?? '']!
      if (bytes >= min && bytes <= max) return bytes
      addIssue({
        message: Number.isNaN(bytes)
          ? 'must be a size as 64MiB, or a number of bytes'
          : `must be ${min} to ${max} bytes`,
      })
      return NEVER
    }),
    described('A size as 64MiB, or a number of bytes'),
  )

const duration = (minMs: number, maxMs: number) =>
  v.pipe(
    v.string('must be a duration as 500ms or 30s'),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m)$/.exec(dataset.value)
      const ms = match === null ? Number.NaN : Number(match[1]) * UNIT_MS[match[2]!]!
      if (ms >= minMs && ms <= maxMs) return ms
      const range = `must be ${minMs / 1_000} to ${maxMs / 1_000} seconds`
      addIssue({ message: Number.isNaN(ms) ? 'must be a duration as 500ms or 30s' : range })
      return NEVER
    }),
    described('A duration as 500ms or 30s'),
  )

const integer = (min: number, max: number, text: string) =>
  v.pipe(
    v.number('must be a whole number'),
    v.integer('must be a whole number'),
    v.minValue(min, `must be ${min} to ${max}`),
    v.maxValue(max, `must be ${min} to ${max}`),
    described(text),
  )

const isPrefix = (text: string): boolean => text.includes('/') && parsePrefix(text) !== null

const cidr = v.pipe(
  v.string(),
  v.check(isPrefix, 'must be an address with its prefix length, as 10.77.1.2/24 or fd77:1::2/64'),
  described('An address with its prefix length, as 10.77.1.2/24 or fd77:1::2/64'),
)

const destination = v.pipe(
  v.string(),
  v.check(text => text === 'default' || isPrefix(text), 'must be a prefix, as 10.0.0.0/8 or ::/0'),
  described('A prefix, as 10.0.0.0/8 or ::/0'),
)

const address = v.pipe(
  v.string(),
  v.check(text => isIP(text) !== 0, 'must be an address, as 10.77.1.1 or fd77:1::1'),
  described('An address'),
)

/** A module to push: its name, or one key, the name, with its options. */
const modulePush = v.pipe(
  v.union(
    [v.string(), v.record(v.string(), v.unknown())],
    'must be a module: its name, or {name: {options}}',
  ),
  v.rawTransform(({ dataset, addIssue, NEVER }): { module: string; options?: unknown } => {
    const { value } = dataset
    if (typeof value === 'string') return { module: value }
    const entries = Object.entries(value)
    if (entries.length === 1) return { module: entries[0]![0], options: entries[0]![1] }
    addIssue({ message: 'must be one module: its name, or {name: {options}}' })
    return NEVER
  }),
  described('A module: its name, or {name: {options}}'),
)

const linkEntries = {
  name: v.pipe(linkName, described('How the node calls the link: 1 to 15 letters, digits, dots, dashes')),
  addresses: v.pipe(v.optional(v.array(cidr), []), described("The node's own addresses on the link")),
  modules: v.pipe(
    v.optional(v.array(modulePush), []),
    described('Modules on the link, from the top (next to IP) down (next to the driver)'),
  ),
  mtu: v.pipe(
    v.optional(integer(MTU_MIN_BYTES, MTU_MAX_BYTES, 'Largest IP packet in bytes'), 1_500),
    described('Largest IP packet in bytes'),
  ),
}

const kernelRoute = v.strictObject({
  to: destination,
  via: v.pipe(v.optional(address), described("The node's address; on the device itself if left out")),
})

const tunLink = v.strictObject({
  ...linkEntries,
  driver: v.literal('tun'),
  device: v.pipe(
    v.optional(v.pipe(v.string(), v.regex(DEVICE, 'an interface name has 1 to 15 letters, digits, _ . -'))),
    described("Interface name of the TUN device; the link's name by default"),
  ),
  netns: v.pipe(
    v.optional(v.pipe(v.string(), v.nonEmpty('must be a name or a path'))),
    described(
      'Network namespace of the device, by name (ip netns) or path; the one the node is started in by default',
    ),
  ),
  offload: v.pipe(
    v.optional(v.picklist(['auto', 'off']), 'auto'),
    described('auto: leave checksums and segmentation to the device where it can'),
  ),
  txqueuelen: v.pipe(
    v.optional(integer(1, 100_000, 'Packets that wait in the kernel for the node to read')),
    described('Packets that wait in the kernel for the node to read'),
  ),
  kernel: v.optional(
    v.strictObject({
      addresses: v.pipe(
        v.optional(v.array(cidr), []),
        described("Addresses of the kernel's side of the device"),
      ),
      routes: v.pipe(
        v.optional(v.array(kernelRoute), []),
        described('Routes of the kernel through the device'),
      ),
    }),
    { addresses: [], routes: [] },
  ),
})

const wireLink = v.strictObject({
  ...linkEntries,
  driver: v.literal('wire'),
  wire: v.pipe(
    name,
    described('The wire that this link is an end of; the other end has the same, in this process'),
  ),
})

const route = v.strictObject({
  to: destination,
  via: v.pipe(v.optional(address), described('Next hop; on the link itself if left out')),
  link: v.pipe(
    v.optional(linkName),
    described('The link to leave by; the one that reaches the next hop if left out'),
  ),
})

const limits = v.strictObject({
  ttl: v.pipe(
    v.optional(integer(1, 255, 'TTL and hop limit of what the node sends')),
    described('TTL and hop limit of what the node sends (64)'),
  ),
  reassemblyBytes: v.pipe(
    v.optional(size(65_536, 2 ** 30)),
    described('Memory that fragments may hold (256KiB)'),
  ),
  reassemblyDatagrams: v.optional(integer(1, 65_536, 'Datagrams that may wait for fragments (512)')),
  reassemblyTimeout: v.pipe(
    v.optional(duration(30_000, 60_000)),
    described('How long a datagram may take (30s)'),
  ),
  icmpErrorsPerSecond: v.optional(
    integer(0, 1_000_000, 'ICMP errors that the node sends in a second, at the most'),
  ),
})

const ipcSchema = v.pipe(
  v.union(
    [
      v.pipe(v.string(), v.nonEmpty('must be a path')),
      v.strictObject({
        path: v.pipe(v.string(), v.nonEmpty('must be a path'), described('Path of the socket')),
        mapped: v.pipe(
          v.optional(v.boolean(), false),
          described("Let programs map the node's memory: each is trusted like the node itself"),
        ),
        clients: v.optional(integer(1, 1_024, 'Programs at a time (64)'), 64),
        connections: v.optional(
          integer(1, 1_048_576, 'Connections and listeners of one program (4096)'),
          4_096,
        ),
      }),
    ],
    'must be a path, or {path, mapped, clients, connections}',
  ),
  v.transform(value =>
    typeof value === 'string' ? { path: value, mapped: false, clients: 64, connections: 4_096 } : value,
  ),
)

export const nodeSchema = v.pipe(
  v.strictObject({
    version: v.pipe(v.literal(1, 'must be 1, the version of this format'), described('Of this format: 1')),
    name,
    seed: v.pipe(
      v.optional(integer(0, Number.MAX_SAFE_INTEGER, 'Makes everything random repeatable')),
      described('Makes everything random repeatable; leave it out where nobody should be able to guess'),
    ),
    arena: v.optional(
      v.strictObject({
        size: v.pipe(
          v.optional(size(ARENA_MIN_BYTES, ARENA_MAX_BYTES), '64MiB'),
          described('Memory for packets: a size as 64MiB'),
        ),
      }),
      { size: '64MiB' },
    ),
    control: v.pipe(
      v.optional(v.union([v.literal(false), v.pipe(v.string(), v.nonEmpty())], 'must be a path, or false')),
      described('Path of the control socket; NAME.sock in the state directory by default; false for none'),
    ),
    ipc: v.pipe(
      v.optional(ipcSchema),
      described('Path of a socket through which programs of other processes have the sockets of this node'),
    ),
    links: v.pipe(
      v.optional(v.pipe(v.array(v.variant('driver', [tunLink, wireLink])), v.maxLength(LINKS_MAX)), []),
      described('Where packets come from and go to'),
    ),
    routes: v.optional(v.pipe(v.array(route), v.maxLength(ROUTES_MAX)), []),
    forwarding: v.pipe(v.optional(v.boolean(), false), described('Pass on packets for others (RFC 1812)')),
    services: v.optional(servicesSchema, {}),
    autopush: v.pipe(
      v.optional(v.record(v.string(), v.array(modulePush)), {}),
      described(
        'By driver (tun, wire, tcp, udp, icmp): modules pushed on each stream that opens it, first to last',
      ),
    ),
    modules: v.pipe(
      v.optional(v.array(v.pipe(v.string(), v.nonEmpty())), []),
      described('ES modules to load, each with ModuleInfo exports; paths relative to this file'),
    ),
    limits: v.optional(limits, {}),
    tcp: v.optional(tcpSchema, {}),
  }),
  v.title('Putnext node'),
  v.description('One node: its links, routes, services and limits'),
)

/** A checked configuration: defaults filled in, sizes in bytes, durations in milliseconds, services as ports or null. */
export type NodeConfig = v.InferOutput<typeof nodeSchema>
/** What a program may write down for {@link NodeConfig}. */
export type NodeConfigInput = v.InferInput<typeof nodeSchema>
export type LinkConfig = NodeConfig['links'][number]
export type TunLinkConfig = Extract<LinkConfig, { driver: 'tun' }>
export type WireLinkConfig = Extract<LinkConfig, { driver: 'wire' }>
export type RouteConfig = NodeConfig['routes'][number]
