/** A listener whose program is in another process: connections are accepted ahead of it, as many as it may have untaken. */
import { ABORT, ACCEPT_AHEAD, ACCEPTED, CLOSE, errorText, INCOMING, OVER } from '../ipc/protocol.ts'
import type { TcpListener } from '../socket/tcp-endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { IpcAgent, IpcStream } from './ipc-agent.ts'
import { IpcConnection } from './ipc-connection.ts'

export class IpcListener implements IpcStream {
  private readonly agent: IpcAgent
  private readonly id: number
  private readonly listener: TcpListener
  /** Connections that may go to the program before it takes one. */
  private ahead = ACCEPT_AHEAD

  constructor(agent: IpcAgent, id: number, listener: TcpListener) {
    this.agent = agent
    this.id = id
    this.listener = listener
    listener.onConnection = () => this.pump()
    listener.onDown = error => {
      agent.sendText(id, OVER, 0, {
        reason: 'aborted',
        error: errorText(error ?? new Error('the stack is gone')),
      })
      this.end()
    }
  }

  pump(): void {
    const { agent } = this
    while (this.ahead > 0 && agent.hasRoom) {
      let connection: ReturnType<TcpListener['accept']>
      try {
        connection = this.listener.accept()
      } catch {
        // A module that is pushed on every connection refused this one.
        continue
      }
      if (connection === null) return
      this.ahead--
      const id = agent.number()
      const { local, remote, settings } = connection
      // Told first: its data comes behind.
      agent.sendText(this.id, INCOMING, id, { local, remote, settings })
      agent.add(id, new IpcConnection(agent, id, connection))
    }
  }

  frame(kind: number, detail: number, mp: Mblk | null): boolean {
    if (mp !== null) freemsg(mp)
    switch (kind) {
      case ACCEPTED:
        if (detail <= 0 || this.ahead + detail > ACCEPT_AHEAD) return false
        this.ahead += detail
        this.pump()
        return true
      case CLOSE:
      case ABORT:
        this.end()
        return true
      default:
        return false
    }
  }

  drained(): void {}

  abandon(): void {
    this.end()
  }

  private end(): void {
    this.agent.forget(this.id, this)
    this.listener.close()
  }
}
