/// <reference types="node" preserve="true" />
export * from './dgram.ts'
export * from './dgram-types.ts'
export * from './endpoint.ts'
export * from './errors.ts'
export * from './host.ts'
export type { Net } from './net.ts'
export {
  connectTls,
  createAgent,
  createSecureAgent,
  createUndiciConnector,
  netOn,
  serve,
} from './net.ts'
export * from './tcp-endpoint.ts'
