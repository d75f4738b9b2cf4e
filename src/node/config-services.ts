/** The part of a node's configuration that says which services it has. */
import { isIP } from 'node:net'
import * as v from 'valibot'
import { RPCBIND_PORT } from '../rpc/rpcbind/well-known.ts'

const PORT_MAX = 65_535

const portNumber = (text: string) =>
  v.pipe(
    v.number('must be a whole number'),
    v.integer('must be a whole number'),
    v.minValue(1, `must be 1 to ${PORT_MAX}`),
    v.maxValue(PORT_MAX, `must be 1 to ${PORT_MAX}`),
    v.description(text),
  )

/** Where one service listens; null for nowhere. */
export interface ServicePorts {
  readonly udp: number | null
  readonly tcp: number | null
}

const NOWHERE: ServicePorts = { udp: null, tcp: null }

const oneProtocol = v.optional(
  v.union([v.boolean(), portNumber('Port')], 'must be true, false, or a port'),
  false,
)

/** A small service: on UDP and TCP as inetd has it, or on one of them. */
const smallService = (standard: number) =>
  v.pipe(
    v.optional(
      v.union(
        [
          v.boolean(),
          v.strictObject({ port: portNumber('Port on UDP and TCP') }),
          v.strictObject({ udp: oneProtocol, tcp: oneProtocol }),
        ],
        'must be true, false, {port: N}, or {udp: N, tcp: N}',
      ),
      false,
    ),
    v.transform((value): ServicePorts => {
      if (value === false) return NOWHERE
      if (value === true) return { udp: standard, tcp: standard }
      if ('port' in value) return { udp: value.port, tcp: value.port }
      const own = (port: number | boolean): number | null =>
        port === true ? standard : port === false ? null : port
      return { udp: own(value.udp), tcp: own(value.tcp) }
    }),
    v.description(
      `true for port ${standard} on UDP and TCP, {port: N}, or {udp: N, tcp: N} with true for ${standard}`,
    ),
  )

/** Where an HTTP file server of a node listens, and for what. */
export interface FilesConfig {
  readonly directory: string
  readonly port: number
  readonly address?: string | undefined
  readonly listings: boolean
  readonly hidden: boolean
  readonly symlinks: 'none' | 'inside' | 'all'
}

export const HTTP_PORT = 80
export const IPERF_PORT = 5_201

const files = v.pipe(
  v.optional(
    v.union(
      [
        v.literal(false),
        v.strictObject({
          directory: v.pipe(
            v.string(),
            v.nonEmpty('must be a directory'),
            v.description('What to serve; relative to this file'),
          ),
          port: v.optional(portNumber('TCP port (80)'), HTTP_PORT),
          address: v.pipe(
            v.optional(
              v.pipe(
                v.string(),
                v.check(text => isIP(text) !== 0, 'must be an address'),
              ),
            ),
            v.description('One of the addresses of the node; all of them by default'),
          ),
          listings: v.pipe(
            v.optional(v.boolean(), true),
            v.description('Show directories without an index page'),
          ),
          hidden: v.pipe(v.optional(v.boolean(), false), v.description('Serve names that begin with a dot')),
          symlinks: v.pipe(
            v.optional(v.picklist(['none', 'inside', 'all']), 'inside'),
            v.description('Which symbolic links are followed: those that stay inside the directory'),
          ),
        }),
      ],
      'must be {directory: PATH}, or false',
    ),
    false,
  ),
  v.transform((value): FilesConfig | null => (value === false ? null : value)),
  v.description('HTTP server for the files of a directory: {directory: PATH, port: 80}'),
)

const iperf = v.pipe(
  v.optional(
    v.union(
      [v.boolean(), v.strictObject({ port: portNumber('TCP port') })],
      'must be true, false, or {port: N}',
    ),
    false,
  ),
  v.transform(value => (value === true ? IPERF_PORT : value === false ? null : value.port)),
  v.description(`Server that iperf3 measures against: true for port ${IPERF_PORT}, or {port: N}`),
)

/** Where a node's rpcbind listens, and whom it takes entries from. */
export interface RpcbindConfig {
  readonly port: number
  readonly changes: 'local' | 'anyone'
}

const rpcbind = v.pipe(
  v.optional(
    v.union(
      [
        v.boolean(),
        v.strictObject({
          port: v.optional(portNumber(`Port on UDP and TCP (${RPCBIND_PORT})`), RPCBIND_PORT),
          changes: v.pipe(
            v.optional(v.picklist(['local', 'anyone']), 'local'),
            v.description('Whose entries it takes: those of servers of this node, or of any machine'),
          ),
        }),
      ],
      'must be true, false, or {port: N, changes: local}',
    ),
    false,
  ),
  v.transform((value): RpcbindConfig | null => {
    if (value === false) return null
    return value === true ? { port: RPCBIND_PORT, changes: 'local' } : value
  }),
  v.description(
    `rpcbind and port mapper, which tell where programs of RPC are: true for port ${RPCBIND_PORT} on UDP and TCP, or {port: N}`,
  ),
)

export const servicesSchema = v.strictObject({
  echo: smallService(7),
  discard: smallService(9),
  chargen: smallService(19),
  files,
  iperf,
  rpcbind,
})

/** Checked: ports or null, the file server's options or null. */
export type ServicesConfig = v.InferOutput<typeof servicesSchema>

/** One place where a service listens. */
export interface ServicePlace {
  /** `echo`, `files`. */
  readonly service: keyof ServicesConfig
  readonly protocol: 'udp' | 'tcp'
  readonly port: number
}

/** Where the services listen, in the order of the configuration. */
export function servicePlaces(services: ServicesConfig): ServicePlace[] {
  const places: ServicePlace[] = []
  for (const service of ['echo', 'discard', 'chargen'] as const) {
    for (const protocol of ['udp', 'tcp'] as const) {
      const port = services[service][protocol]
      if (port !== null) places.push({ service, protocol, port })
    }
  }
  if (services.files !== null) places.push({ service: 'files', protocol: 'tcp', port: services.files.port })
  if (services.iperf !== null) places.push({ service: 'iperf', protocol: 'tcp', port: services.iperf })
  if (services.rpcbind !== null) {
    const { port } = services.rpcbind
    for (const protocol of ['udp', 'tcp'] as const) places.push({ service: 'rpcbind', protocol, port })
  }
  return places
}

/** `echo 7/tcp+udp`, `files 80/tcp`: for people. */
export function servicesText(services: ServicesConfig): string {
  const texts = new Map<string, string[]>()
  for (const { service, protocol, port } of servicePlaces(services)) {
    const key = `${service} ${port}`
    texts.set(key, [...(texts.get(key) ?? []), protocol])
  }
  return [...texts].map(([key, protocols]) => `${key}/${protocols.toSorted().join('+')}`).join(', ') || 'none'
}
