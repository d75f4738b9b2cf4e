/** A client's channel: made when it is needed, made again with back-off when it is lost, and given up when that takes too long. */
import { StackError } from '../base/errors.ts'
import { after, type Duration } from '../base/time.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Timer } from '../streams/timers.ts'
import type { RpcChannel } from './channel.ts'
import type { ClientSettings } from './client-options.ts'

/** Makes a channel to the server, wherever that is now. */
export type ChannelSource = () => RpcChannel | Promise<RpcChannel>

/** Whom a connection tells; never from within a call of {@link ClientConnection}'s, but for {@link ClientConnection.open} of a datagram channel. */
export interface ConnectionOwner {
  /** Calls may be sent. */
  opened(): void
  readable(): void
  writable(): void
  /** It was open, and is not any more; it is closed already. */
  lost(error: StackError): void
  /** It could not be opened. */
  failed(error: StackError): void
  /** See {@link RpcChannel.onTrouble}. */
  troubled(error: StackError): void
  /** Whether anybody waits for it: then it is tried again. */
  readonly isNeeded: boolean
}

type State = 'down' | 'opening' | 'up' | 'waiting' | 'closed'

export class ClientConnection {
  /** While it is up or being opened. */
  channel: RpcChannel | null = null
  /** Why it could not be opened, or was lost, the last time; null since it is there again. */
  lastError: StackError | null = null
  private readonly runtime: Runtime
  private readonly source: ChannelSource
  private readonly settings: ClientSettings
  private readonly owner: ConnectionOwner
  private readonly timer: Timer
  private state: State = 'down'
  private backOffUs = 0
  /** Of attempts: what an earlier one brings, late, is closed. */
  private attempt = 0

  constructor(runtime: Runtime, source: ChannelSource, settings: ClientSettings, owner: ConnectionOwner) {
    this.runtime = runtime
    this.source = source
    this.settings = settings
    this.owner = owner
    this.timer = new Timer(() => this.timeIsUp())
  }

  get isUp(): boolean {
    return this.state === 'up'
  }

  /** Begins to make a channel, unless there is one or it is being made. */
  open(): void {
    if (this.state !== 'down') return
    this.state = 'opening'
    const attempt = ++this.attempt
    this.arm(this.settings.timeoutUs)
    let made: RpcChannel | Promise<RpcChannel>
    try {
      made = this.source()
    } catch (error) {
      return this.fails(asStackError(error))
    }
    if (!(made instanceof Promise)) return this.attach(made)
    made.then(
      channel => {
        if (attempt === this.attempt && this.state === 'opening') this.attach(channel)
        else channel.abort()
      },
      error => {
        if (attempt === this.attempt && this.state === 'opening') this.fails(asStackError(error))
      },
    )
  }

  private attach(channel: RpcChannel): void {
    const { owner } = this
    this.channel = channel
    channel.onClosed = error => this.goesDown(error ?? ended())
    channel.onTrouble = error => owner.troubled(error)
    channel.onWritable = () => owner.writable()
    if (channel.isOpen) this.comesUp()
    else channel.onOpen = () => this.comesUp()
  }

  private comesUp(): void {
    this.state = 'up'
    this.runtime.timers.cancel(this.timer)
    // Of a datagram channel only an answer says that somebody is there.
    if (this.channel!.isStream) this.lastError = null
    this.channel!.onReadable = () => this.owner.readable()
    this.owner.opened()
  }

  /** The server answered: if this channel is lost, the next is made at once. A server that takes connections and drops them is not pestered. */
  proved(): void {
    this.backOffUs = 0
    this.lastError = null
  }

  private goesDown(error: StackError): void {
    if (this.state === 'opening') return this.fails(error)
    this.drop()
    this.state = 'down'
    this.lastError = error
    this.owner.lost(error)
    this.retry(this.backOffUs)
  }

  private fails(error: StackError): void {
    this.drop()
    this.lastError = error
    this.state = 'down'
    this.owner.failed(error)
    this.retry(Math.max(this.backOffUs, this.settings.reconnectUs))
  }

  private retry(us: number): void {
    const { settings, owner, runtime } = this
    // The owner may have closed it, or called again.
    if (this.state !== 'down' || !owner.isNeeded) return
    this.backOffUs = Math.min(settings.reconnectMaxUs, Math.max(settings.reconnectUs, 2 * us))
    if (us === 0) return this.open()
    this.state = 'waiting'
    this.arm(us * (0.75 + runtime.random.unit() / 2))
  }

  private timeIsUp(): void {
    if (this.state === 'waiting') {
      this.state = 'down'
      if (this.owner.isNeeded) this.open()
    } else if (this.state === 'opening') {
      this.fails(new StackError('ERR_TIMED_OUT', 'the connection could not be made in time'))
    }
  }

  /** Makes it anew: the server is not where it was. */
  renew(error: StackError): void {
    if (this.state === 'up') this.goesDown(error)
  }

  private drop(): void {
    const { channel } = this
    this.channel = null
    this.attempt++
    if (channel === null) return
    forget(channel)
    channel.abort()
  }

  private arm(us: number): void {
    if (us === Number.POSITIVE_INFINITY) return this.runtime.timers.cancel(this.timer)
    this.runtime.timers.arm(this.timer, after(this.runtime.clock.now(), us as Duration))
  }

  /** For good. What was sent still goes out. */
  close(): void {
    const { channel } = this
    this.state = 'closed'
    this.channel = null
    this.runtime.timers.cancel(this.timer)
    if (channel === null) return
    forget(channel)
    channel.close()
  }
}

function forget(channel: RpcChannel): void {
  channel.onOpen = null
  channel.onReadable = null
  channel.onWritable = null
  channel.onClosed = null
  channel.onTrouble = null
}

function ended(): StackError {
  return new StackError('ERR_CONN_RESET', 'the server ended the connection')
}

function asStackError(error: unknown): StackError {
  if (error instanceof StackError) return error
  const text = error instanceof Error ? error.message : String(error)
  return new StackError('ERR_HOST', text, { cause: error })
}
