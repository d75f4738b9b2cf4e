/** The first argument of `putnext/net`: whoever writes as for node:net forgets it, and is told so at the call. */
import { coded, received } from './errors.ts'
import type { SocketHost } from './host.ts'

const SHAPES = {
  connect: 'connect(node, port, host), or use netOn(node)',
  createServer: 'createServer(node, listener), or use netOn(node)',
  Socket: 'new Socket(node), or use netOn(node)',
  Server: 'new Server(node, listener), or use netOn(node)',
  netOn: 'netOn(node)',
  createAgent: 'createAgent(node, options)',
  createSecureAgent: 'createSecureAgent(node, options)',
  connectTls: 'connectTls(node, options)',
  createUndiciConnector: 'createUndiciConnector(node, options)',
} as const

/**
 * @param call - what was called
 * @returns the stack
 * @throws TypeError `ERR_INVALID_ARG_TYPE` if it is none
 */
export function checkStack(host: SocketHost, call: keyof typeof SHAPES): SocketHost {
  const runtime: unknown = typeof host === 'object' ? host?.runtime : undefined
  if (typeof runtime === 'object' && runtime !== null && 'arena' in runtime) return host
  const message = `the first argument is the stack: ${SHAPES[call]}. ${received(host)}`
  throw coded(TypeError, 'ERR_INVALID_ARG_TYPE', message)
}
