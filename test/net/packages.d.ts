/** ws brings no types of its own: what the tests use of it. */
declare module 'ws' {
  import type { EventEmitter } from 'node:events'
  export class WebSocket extends EventEmitter {
    constructor(address: string, options?: object)
    send(data: unknown, options?: object): void
    ping(data: string): void
    close(code: number, reason: string): void
  }
  export class WebSocketServer extends EventEmitter {
    constructor(options: object)
    close(): void
  }
}
