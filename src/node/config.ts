/** A node's configuration: read, checked as a whole, and only then used. Nothing is applied of a file with a mistake. */
import { closeSync, openSync, readSync } from 'node:fs'
import { StackError } from '../base/errors.ts'
import { type NodeConfig, nodeSchema } from './config-schema.ts'
import { servicePlaces } from './config-services.ts'
import { ConfigError, ConfigFile, type ConfigPath } from './yaml-reader.ts'

export type {
  LinkConfig,
  NodeConfig,
  NodeConfigInput,
  RouteConfig,
  TunLinkConfig,
  WireLinkConfig,
} from './config-schema.ts'

/** A configuration file longer than this is none. */
const FILE_BYTES_MAX = 1024 * 1024

/**
 * Reads and checks a configuration file.
 * @throws ConfigError (`ERR_BAD_CONFIG`) with file, line and column of every mistake; StackError `ERR_NOT_FOUND`,
 * `ERR_ACCESS` if the file cannot be read
 */
export function readNodeConfig(file: string): NodeConfig {
  return parseNodeConfig(readConfigText(file), file)
}

/**
 * The text of a configuration file; also of a pipe, or a device that has no end.
 * @throws StackError `ERR_NOT_FOUND`, `ERR_ACCESS`, `ERR_BAD_CONFIG`
 */
export function readConfigText(file: string): string {
  try {
    return readBounded(file)
  } catch (cause) {
    if (cause instanceof StackError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new StackError('ERR_NOT_FOUND', `there is no file ${file}`, { cause })
    if (code === 'EISDIR') throw new StackError('ERR_NOT_FOUND', `${file} is a directory`, { cause })
    throw new StackError('ERR_ACCESS', `cannot read ${file} (${code})`, { cause })
  }
}

function readBounded(file: string): string {
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(FILE_BYTES_MAX + 1)
    let size = 0
    for (let got = -1; got !== 0 && size < bytes.length; size += got)
      got = readSync(fd, bytes, size, bytes.length - size, null)
    if (size > FILE_BYTES_MAX)
      throw new StackError('ERR_BAD_CONFIG', `${file}: longer than ${FILE_BYTES_MAX} bytes`)
    return bytes.toString('utf8', 0, size)
  } finally {
    closeSync(fd)
  }
}

/**
 * Checks the text of a configuration.
 * @param file - its name, for messages
 * @throws ConfigError (`ERR_BAD_CONFIG`)
 */
export function parseNodeConfig(text: string, file: string): NodeConfig {
  const document = new ConfigFile(file, text)
  const config = document.check(nodeSchema)
  const problems = contradictions(config)
  if (problems.length > 0)
    throw new ConfigError(
      file,
      problems.map(({ path, message }) => document.problem(path, message)),
    )
  return config
}

/**
 * Checks a configuration that a program made.
 * @throws ConfigError (`ERR_BAD_CONFIG`), with paths
 */
export function checkNodeConfig(value: unknown): NodeConfig {
  return parseNodeConfig(JSON.stringify(value), 'configuration')
}

interface Contradiction {
  readonly path: ConfigPath
  readonly message: string
}

/** What no single value shows: names used twice, links that are not there. */
function contradictions(config: NodeConfig): Contradiction[] {
  const found: Contradiction[] = []
  const say = (path: ConfigPath, message: string): void => void found.push({ path, message })
  const links = new Set<string>()
  const addresses = new Map<string, string>()
  for (const [i, link] of config.links.entries()) {
    if (links.has(link.name)) say(['links', i, 'name'], `a second link named ${link.name}`)
    links.add(link.name)
    for (const [j, prefix] of link.addresses.entries()) {
      const address = prefix.slice(0, prefix.indexOf('/'))
      const other = addresses.get(address)
      if (other !== undefined)
        say(['links', i, 'addresses', j], `${address} is an address of ${other} already`)
      addresses.set(address, link.name)
    }
  }
  for (const [i, route] of config.routes.entries()) {
    if (route.link !== undefined && !links.has(route.link))
      say(['routes', i, 'link'], `there is no link named ${route.link}`)
    if (route.link === undefined && route.via === undefined)
      say(['routes', i], 'a route needs via, link, or both')
    if (
      route.via !== undefined &&
      route.to !== 'default' &&
      route.via.includes(':') !== route.to.includes(':')
    )
      say(['routes', i, 'via'], `${route.via} is of another family than ${route.to}`)
  }
  return found.concat(servicePorts(config))
}

function servicePorts({ services }: NodeConfig): Contradiction[] {
  const taken = new Map<string, string>()
  const found: Contradiction[] = []
  for (const { service, protocol, port } of servicePlaces(services)) {
    const place = `${protocol} ${port}`
    const other = taken.get(place)
    if (other !== undefined && !found.some(({ path }) => path[1] === service))
      found.push({ path: ['services', service], message: `port ${port} is ${other}'s already` })
    taken.set(place, service)
  }
  return found
}
