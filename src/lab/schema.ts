/** What a lab file may contain. The committed JSON Schema for editors is made from this. */
import * as v from 'valibot'
import { isCidr } from './addressing.ts'

/** A namespace is called LAB-NODE, and a node's name is also an interface's (at most 15 bytes). */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?$/
/** RFC 8200 §5 asks 1280 of every link; 65535 is what a TUN device takes. */
export const MTU_MIN_BYTES = 1_280
export const MTU_MAX_BYTES = 65_535
export const NODES_MAX = 256
export const LINKS_MAX = 1_024

const name = v.pipe(
  v.string(),
  v.regex(NAME, 'a name has 1 to 15 lower-case letters, digits and inner dashes'),
  v.description('1 to 15 lower-case letters, digits and inner dashes'),
)
const cidr = v.pipe(
  v.string(),
  v.check(isCidr, 'an address with its prefix length, as 10.77.1.2/24 or fd77:1::2/64'),
  v.description('An address with its prefix length, as 10.77.1.2/24 or fd77:1::2/64'),
)
const mtu = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(MTU_MIN_BYTES),
  v.maxValue(MTU_MAX_BYTES),
  v.description('Bytes of the largest IP packet'),
)

const setting = v.optional(v.union([v.string(), v.number()]))

/** Written `10ms`, `0.5%`, `20mbit`; what each may be is known to the module `impair`, which reads it. */
export const impairSchema = v.pipe(
  v.strictObject({
    delay: setting,
    jitter: setting,
    jitterReorder: v.optional(v.boolean()),
    loss: setting,
    duplicate: setting,
    reorder: setting,
    gap: setting,
    corrupt: setting,
    rate: setting,
    burst: setting,
    limit: setting,
    limitBytes: setting,
    partition: v.optional(v.boolean()),
  }),
  v.description(
    'What the link does to packets, in each direction: delay 10ms, loss 0.5%, rate 20mbit, limit 100',
  ),
)

const moduleSchema = v.pipe(
  v.union([v.string(), v.record(v.string(), v.unknown())]),
  v.description('A module to push on the link of the node: its name, or {name: {options}}'),
)

const serviceMap = v.record(v.string(), v.union([v.boolean(), v.record(v.string(), v.unknown())]))

/** The names of services, or as in a node file `{echo: true, discard: {port: 9009}}`; made into the latter. */
const services = v.pipe(
  v.union([v.array(v.string()), serviceMap], 'must be a list of services, or {NAME: true}'),
  v.transform(value =>
    Array.isArray(value) ? Object.fromEntries(value.map(one => [one, true as const])) : value,
  ),
  v.description(
    'Services of the node: [echo, discard, chargen, iperf], or as in a node file {echo: true, files: {directory: PATH}}',
  ),
)

const condition = v.picklist(['healthy', 'started'])

export const nodeSchema = v.strictObject({
  kind: v.pipe(
    v.optional(v.picklist(['stack', 'linux']), 'stack'),
    v.description("stack: Putnext's own stack on a TUN device; linux: a host of the kernel's stack"),
  ),
  addresses: v.pipe(
    v.optional(v.array(cidr)),
    v.description('Addresses of the node, at most one of each family; from the pool if left out'),
  ),
  kernel: v.pipe(
    v.optional(v.array(cidr)),
    v.description("Addresses of the kernel's side of the TUN device; the first of the subnet if left out"),
  ),
  mtu: v.optional(mtu),
  offload: v.pipe(
    v.optional(v.boolean()),
    v.description('Checksums and segmentation are left to the device'),
  ),
  services: v.optional(services),
  modules: v.pipe(
    v.optional(v.array(moduleSchema)),
    v.description('Modules pushed on the link, nearest to IP first'),
  ),
  ipc: v.pipe(
    v.optional(v.boolean()),
    v.description(
      'Programs of other processes may use the sockets of this node: putnext/ipc, the socket NODE.ipc',
    ),
  ),
  exec: v.pipe(
    v.optional(v.array(v.string())),
    v.description('Commands run by sh in the namespace of a linux host when it is up'),
  ),
  congestion: v.pipe(
    v.optional(v.string()),
    v.description("Congestion control of the kernel's TCP in the namespace, as reno"),
  ),
  depends_on: v.pipe(
    v.optional(v.record(v.string(), condition)),
    v.description('Nodes that come first: {n1: healthy} or {n1: started}'),
  ),
})

const longLink = v.strictObject({
  endpoints: v.pipe(v.tuple([v.string(), v.string()]), v.description('The two ends, as n1 or n1:eth1')),
  mtu: v.optional(mtu),
  impair: v.optional(impairSchema),
})

const segment = v.strictObject({
  segment: v.pipe(name, v.description('A shared medium: a bridge in the namespace LAB-fabric')),
  members: v.pipe(v.array(v.string()), v.minLength(2)),
  mtu: v.optional(mtu),
  impair: v.optional(impairSchema),
})

const pool = v.strictObject({ ipv4: v.optional(cidr), ipv6: v.optional(cidr) })

export const labSchema = v.strictObject({
  version: v.pipe(v.literal(1), v.description('Of this format')),
  name,
  seed: v.pipe(
    v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0)), 1),
    v.description('Of everything random'),
  ),
  mode: v.pipe(
    v.optional(v.picklist(['netns', 'inproc', 'sim']), 'netns'),
    v.description('netns: processes in namespaces; inproc: all in one process; sim: comes later'),
  ),
  addressing: v.optional(
    v.strictObject({ nodes: v.optional(pool), links: v.optional(pool), segments: v.optional(pool) }),
  ),
  defaults: v.optional(
    v.strictObject({
      node: v.optional(
        v.strictObject({
          mtu: v.optional(mtu),
          offload: v.optional(v.boolean()),
          services: v.optional(services),
          ipc: v.optional(v.boolean()),
          congestion: v.optional(v.string()),
        }),
      ),
      link: v.optional(v.strictObject({ mtu: v.optional(mtu), impair: v.optional(impairSchema) })),
    }),
  ),
  nodes: v.pipe(v.record(name, v.nullable(nodeSchema)), v.minEntries(1), v.maxEntries(NODES_MAX)),
  links: v.pipe(
    v.optional(v.array(v.union([v.pipe(v.string(), v.description('n1 -- n2')), longLink, segment])), []),
    v.maxLength(LINKS_MAX),
  ),
})

export type LabInput = v.InferOutput<typeof labSchema>
export type NodeInput = v.InferOutput<typeof nodeSchema>
export type LinkInput = LabInput['links'][number]
export type ImpairInput = v.InferOutput<typeof impairSchema>
