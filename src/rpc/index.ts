/// <reference types="node" preserve="true" />
export type { SocketHost } from '../socket/host.ts'
export { NO_AUTH, type OpaqueAuth, type SysCredentials, sysAuth } from './auth.ts'
export type { RpcChannel } from './channel.ts'
export { RpcClient } from './client.ts'
export type { ChannelSource } from './client-connection.ts'
export { CLIENT_COUNTERS } from './client-engine.ts'
export type { RpcClientOptions, RpcConnectOptions, RpcLookup } from './client-options.ts'
export { RpcError, type RpcOutcome } from './outcome.ts'
export type { RpcPrincipal } from './principal.ts'
export { LatencyHistogram, type LatencySummary, ProcedureMetrics } from './procedure-metrics.ts'
export type {
  RegisteredServer,
  RegistrationOptions,
  RegistrationTarget,
  RpcbindClientOptions,
  RpcbindServerOptions,
} from './rpcbind/index.ts'
export {
  RPCBIND_PORT,
  RpcbindClient,
  RpcbindServer,
  RpcRegistration,
  rpcbindLookup,
} from './rpcbind/index.ts'
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
export {
  AUTH_BADCRED,
  AUTH_BADVERF,
  AUTH_FAILED,
  AUTH_INVALIDRESP,
  AUTH_REJECTEDCRED,
  AUTH_REJECTEDVERF,
  AUTH_TOOWEAK,
  GARBAGE_ARGS,
  PROC_UNAVAIL,
  PROG_UNAVAIL,
  SYSTEM_ERR,
} from './status.ts'
export { RpcStatusError } from './status-error.ts'
export * from './stub-types.ts'
export type { RpcTrace, RpcTraceEvent } from './trace.ts'
