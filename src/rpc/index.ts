export type { RpcPrincipal } from './principal.ts'
export { RpcServer } from './server.ts'
export type { Authenticate } from './server-auth.ts'
export type { RpcListening, RpcListenOptions, RpcTransport } from './server-listening.ts'
export type {
  AtMostOnceOptions,
  ProcedureCounter,
  ProcedureSummary,
  RpcServerOptions,
  ServerCounter,
} from './server-settings.ts'
export type { ServiceMode, ServiceOptions } from './service-queue.ts'
export { RpcStatusError } from './status-error.ts'
export * from './stub-types.ts'
