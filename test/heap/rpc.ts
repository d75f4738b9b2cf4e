// Null calls and their replies as messages: written, marked as records, split, read. Prints what that allocated, as JSON.

import { assert } from '../../src/base/assert.ts'
import {
  CallHeader,
  ReplyHeader,
  readCall,
  readReply,
  writeAccepted,
  writeCall,
} from '../../src/rpc/message.ts'
import { markRecord, RecordSplitter } from '../../src/rpc/record-mark.ts'
import { SUCCESS } from '../../src/rpc/status.ts'
import { XdrDecoder, XdrEncoder } from '../../src/rpc/xdr/index.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import { linkb } from '../../src/streams/mblk/message.ts'
import { measureAllocation } from './allocation.ts'

const CALLS = 1_000_000
const PROGRAM = 0x2000_0001
/** Half of all xids are above 2^31, which as numbers would be allocated. */
const FIRST_XID = 0x7fff_0000

const arena = new Arena({ sizeBytes: 4 * 1024 * 1024 })
const encoder = new XdrEncoder(arena)
const decoder = new XdrDecoder()
const toServer = new RecordSplitter()
const toClient = new RecordSplitter()
const call = new CallHeader()
const reply = new ReplyHeader()
let xid = FIRST_XID
let answered = 0

/** Two calls in one piece of the stream, as they come when they are ready together. */
function sendCalls(): void {
  encoder.start('call')
  writeCall(encoder, xid, PROGRAM, 1, 0)
  const first = markRecord(encoder.finish())!
  encoder.start('call')
  writeCall(encoder, (xid + 1) | 0, PROGRAM, 1, 0)
  linkb(first, markRecord(encoder.finish())!)
  toServer.push(first)
  xid = (xid + 2) | 0
}

function serve(): void {
  for (let record = toServer.next(); record !== null; record = toServer.next()) {
    decoder.start(record, 'args')
    assert(readCall(decoder, call) === null && call.program === PROGRAM, 'not the call that was sent')
    decoder.finish()
    freemsg(record)
    encoder.start('reply')
    writeAccepted(encoder, call.xid, SUCCESS)
    toClient.push(markRecord(encoder.finish())!)
  }
}

function receive(): void {
  for (let record = toClient.next(); record !== null; record = toClient.next()) {
    decoder.start(record, 'results')
    assert(readReply(decoder, reply) === null && reply.isSuccess, 'not the reply that was sent')
    decoder.finish()
    freemsg(record)
    answered++
  }
}

const result = await measureAllocation(CALLS, runs => {
  const before = answered
  for (let i = 0; i < runs; i += 2) {
    sendCalls()
    serve()
    receive()
  }
  assert(answered - before === runs, 'some calls were not answered')
})
arena.assertWhole()
console.log(JSON.stringify(result))
