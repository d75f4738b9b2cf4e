/** TCP without copies, as programs have it: one level below `net.Socket` and `net.Server`. */
export type {
  ConnectOptions as TcpConnectOptions,
  ListenOptions as TcpListenOptions,
} from '../inet/tcp/control.ts'
export * from './tcp-connection.ts'
export * from './tcp-listener.ts'
