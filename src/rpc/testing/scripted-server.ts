/** A server that does what a test tells it, message by message: what a client sent is looked at, and answered by hand. */
import { freemsg } from '../../streams/mblk/alloc.ts'
import type { Mblk } from '../../streams/mblk/mblk.ts'
import type { OpaqueAuth } from '../auth.ts'
import { takeEnvelope } from '../channel.ts'
import { CallHeader, readCall, writeAccepted, writeAuthError } from '../message.ts'
import { writeSessionHandle } from '../session-wire.ts'
import { SUCCESS } from '../status.ts'
import type { RpcProcedure } from '../stub-types.ts'
import { XdrDecoder, XdrEncoder, xdrInt } from '../xdr/index.ts'
import type { TestChannel } from './channel-pair.ts'

/** Doubles a number; what the tests call. */
export const DOUBLE: RpcProcedure<number, number> = {
  name: 'DOUBLE',
  program: 0x2000_0001,
  version: 1,
  procedure: 1,
  isIdempotent: false,
  argument: xdrInt,
  result: xdrInt,
}

/** The same, marked. */
export const SAME: RpcProcedure<number, number> = {
  ...DOUBLE,
  name: 'SAME',
  procedure: 2,
  isIdempotent: true,
}

/** A call as it came in. */
export interface SeenCall {
  readonly xid: number
  readonly procedure: number
  readonly credentials: OpaqueAuth
  readonly verifier: OpaqueAuth
  /** 0 if there is none. */
  readonly argument: number
  readonly channel: TestChannel
  readonly reply: (write: (xdr: XdrEncoder) => void) => void
}

export class ScriptedServer {
  /** All calls, in the order of their arrival. */
  readonly calls: SeenCall[] = []
  /** Called for each; without it nothing is answered. */
  onCall: ((call: SeenCall) => void) | null = null
  private readonly decoder = new XdrDecoder()
  private readonly header = new CallHeader()
  private encoder: XdrEncoder | null = null

  serve(channel: TestChannel): void {
    this.encoder ??= new XdrEncoder(channel.runtime.arena)
    channel.onReadable = () => {
      for (let mp = channel.receive(); mp !== null; mp = channel.receive()) this.take(channel, mp)
    }
    channel.onClosed = () => channel.close()
  }

  private take(channel: TestChannel, mp: Mblk): void {
    const body = channel.isStream ? mp : takeEnvelope(mp)!
    const envelope = channel.isStream ? null : mp
    const { decoder, header } = this
    decoder.start(body)
    const fault = readCall(decoder, header)
    if (fault !== null) throw new Error(`the client sent ${fault}`)
    const { xid, procedure, credentials, verifier } = header
    const argument = decoder.left >= 4 ? decoder.int('') : 0
    freemsg(body)
    // Answered any number of times, so each answer makes an envelope of its own.
    const port = envelope === null ? 0 : Number(channel.peerOf(envelope).split(':').at(-1))
    if (envelope !== null) freemsg(envelope)
    const reply = (write: (xdr: XdrEncoder) => void): void => {
      const xdr = this.encoder!
      xdr.start()
      write(xdr)
      channel.sendToPort(xdr.finish(), port)
    }
    const call = { xid, procedure, credentials, verifier, argument, channel, reply }
    this.calls.push(call)
    this.onCall?.(call)
  }
}

export const succeed = (call: SeenCall, value: number): void =>
  call.reply(xdr => {
    writeAccepted(xdr, call.xid, SUCCESS)
    if (call.procedure !== 0) xdr.putInt('', value)
  })

export const double = (call: SeenCall): void => succeed(call, 2 * call.argument)

export const deny = (call: SeenCall, status: number): void =>
  call.reply(xdr => writeAuthError(xdr, call.xid, status))

/** Gives a session to whoever asks for one. */
export function giveSession(call: SeenCall, session: number, windowCalls = 1_024): void {
  const secret = Int32Array.of(session, 2, 3, 4)
  const body = writeSessionHandle({ serverBootHigh: 0, serverBootLow: 1, session, windowCalls, secret })
  call.reply(xdr => writeAccepted(xdr, call.xid, SUCCESS, { flavor: 2, body }))
}
