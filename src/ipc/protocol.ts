/**
 * What passes between a node and a program that attached to it: frames of a header of four int32 words in the host's order
 * (stream, kind, length, detail) and a body. Stream 0 is the port itself; a client numbers what it opens with odd numbers, the node
 * what it accepts with even ones. All frames of a port are in order.
 */
import { type ErrorCode, StackError } from '../base/errors.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Arena } from '../streams/mblk/arena.ts'
import type { BorrowedMblk, Mblk } from '../streams/mblk/mblk.ts'
import { messageBytes } from '../streams/mblk/message.ts'
import { messageFrom, readMessage } from '../streams/mblk/pullup.ts'

/** Both ends must say the same. */
export const PROTOCOL_VERSION = 3
export const HEADER_BYTES = 16
/** Longest body. */
export const BODY_BYTES_MAX = 512 * 1024
/** Longest body that is not data. */
export const TEXT_BYTES_MAX = 64 * 1024
/** Cost of data that a sender may have under way on a stream at first, each direction; one message may go over it. */
export const FIRST_CREDIT_BYTES = 64 * 1024
/** The same at most: what a stream is given beyond the first is its receiver's decision (`credit.ts`). */
export const CREDIT_BYTES = 1024 * 1024
/** What a message counts for beside its bytes, so that many small ones are bounded, too. */
export const MESSAGE_COST_BYTES = 256
/** As {@link FIRST_CREDIT_BYTES}, of an endpoint of datagrams: what is beyond it is no stream's data and may be dropped. */
export const DATAGRAM_CREDIT_BYTES = 128 * 1024
export const DATAGRAM_CREDIT_STEP_BYTES = DATAGRAM_CREDIT_BYTES / 4
/** Accepted connections of one listener that are on their way to the program. */
export const ACCEPT_AHEAD = 32

/** Both ways: data, and credit for data (detail: bytes). */
export const DATA = 1
export const CREDIT = 2
/** Both ways: a datagram, or an error about one: a control block of `inet/unitdata.ts` and the data. CREDIT is for these too. */
export const DATAGRAM = 3

/** To the node. HELLO, CONNECT, LISTEN, ENDPOINT, SET and REQUEST have a body of JSON; REQUEST's detail is its number. */
export const HELLO = 16
export const CONNECT = 17
export const LISTEN = 18
/** Detail: connections that the program took from a listener. */
export const ACCEPTED = 19
export const SHUTDOWN = 20
export const URGENT_DATA = 21
/** The program closed the stream: behind its data. */
export const CLOSE = 22
/** The same, at once and with a reset. */
export const ABORT = 23
export const SET = 24
export const REQUEST = 25
/** JSON: opens an endpoint of UDP. What it may be asked are REQUESTs. */
export const ENDPOINT = 26

/** To the client. WELCOME, REFUSED, NAMES, INCOMING, OVER, ANSWER and REFUSAL have a body of JSON. */
export const WELCOME = 32
export const REFUSED = 33
/** A stream that was asked for is there: its names. */
export const NAMES = 34
export const CONNECTED = 35
/** On a listener's stream; detail: the number of the new stream. */
export const INCOMING = 36
/** The peer's data ended. */
export const END = 37
/** Detail: bytes of the stream up to the end of urgent data, from its beginning, modulo 2^32. */
export const URGENT = 38
/** Detail: see TROUBLE_IND. */
export const TROUBLE = 39
/** The stream is over: behind its data. */
export const OVER = 40
export const ANSWER = 41
export const REFUSAL = 42

/** Of a mapped port: on the socket, wakes a sleeper; in a ring, gives the block with the number in the detail back. */
export const WAKE = 48
export const RETURN = 49
/** Parts of blocks that a mapped client has sent and not back yet. */
export const TAGS_MAX = 4_096

/** The cost of a message against the credit. */
export const costOf = (bytes: number): number => bytes + MESSAGE_COST_BYTES

export interface Hello {
  readonly version: number
  readonly mapped: boolean
}

export interface ErrorText {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** @returns a message with the JSON text of a value; null when no block is left */
export function textMessage(arena: Arena, value: unknown): Mblk | null {
  const text = encoder.encode(JSON.stringify(value ?? null))
  return messageFrom(arena, text, 0, text.length, 'edge')
}

/** Reads what {@link textMessage} wrote. @param mp - borrowed @throws SyntaxError */
export function readText(mp: BorrowedMblk | null): unknown {
  if (mp === null) return null
  const text = new Uint8Array(messageBytes(mp))
  readMessage(mp, 0, text, 0, text.length, 'edge')
  return JSON.parse(decoder.decode(text))
}

/** The same, and frees it, also when it throws. @param mp - consumed @throws SyntaxError */
export function takeText(mp: Mblk | null): unknown {
  try {
    return readText(mp)
  } finally {
    if (mp !== null) freemsg(mp)
  }
}

export function errorText(error: unknown): ErrorText {
  if (!(error instanceof StackError)) return { code: 'ERR_HOST', message: String(error) }
  const { code, message, hint } = error
  return hint === undefined ? { code, message } : { code, message, hint }
}

export function errorFrom({ code, message, hint }: ErrorText): StackError {
  return new StackError(code, message, hint === undefined ? {} : { hint })
}
