/** What is attacked: takes and gives back everything, counts effects, and puts names that a peer sent where a careless program would be hurt. */
import type { RpcHandler, RpcProcedure, RpcService } from '../../src/rpc/index.ts'
import { rpcHandler } from '../../src/rpc/index.ts'
import { type XdrCodec, type XdrOpaque, xdrArray, xdrInt, xdrString } from '../../src/rpc/xdr/index.ts'
import { everythingXdr } from '../../src/rpc/xdr/testing/example.ts'
import {
  HOSTILE_PROGRAM,
  HOSTILE_VERSION,
  PROC_ADD,
  PROC_BLOB,
  PROC_EVERYTHING,
  PROC_NAMES,
  PROC_PUT,
} from './hostile-calls.ts'

const blobXdr: XdrCodec<XdrOpaque> = {
  encode: (xdr, value) => xdr.putOpaque('blob', value),
  decode: xdr => xdr.opaqueView('blob'),
}

function procedureOf<A, R>(
  name: string,
  procedure: number,
  argument: XdrCodec<A>,
  result: XdrCodec<R>,
  isIdempotent = true,
): RpcProcedure<A, R> {
  return {
    name,
    program: HOSTILE_PROGRAM,
    version: HOSTILE_VERSION,
    procedure,
    isIdempotent,
    argument,
    result,
  }
}

export const EVERYTHING = procedureOf('EVERYTHING', PROC_EVERYTHING, everythingXdr, everythingXdr)
export const ADD_ONE = procedureOf('ADD_ONE', PROC_ADD, xdrInt, xdrInt, false)
export const NAMES = procedureOf('NAMES', PROC_NAMES, xdrArray(xdrString(255), 1_000), xdrInt)
export const BLOB = procedureOf('BLOB', PROC_BLOB, blobXdr, blobXdr)
export const PUT = procedureOf('PUT', PROC_PUT, blobXdr, blobXdr, false)

export function hostileService(): RpcService {
  const handlers: RpcHandler[] = [
    rpcHandler(EVERYTHING, value => value),
    rpcHandler(ADD_ONE, value => (value + 1) | 0),
    rpcHandler(NAMES, names => names.length),
    rpcHandler(BLOB, blob => blob),
    rpcHandler(PUT, blob => blob),
  ]
  return { name: 'HOSTILE', program: HOSTILE_PROGRAM, version: HOSTILE_VERSION, handlers }
}
