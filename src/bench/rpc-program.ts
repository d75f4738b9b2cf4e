/** The program that `bench rpc` calls, which `native-shims/bench/rpc-load.c` knows too. */
import { type RpcProcedure, type RpcService, rpcHandler } from '../rpc/stub-types.ts'
import { type XdrCodec, XdrOpaque, xdrUint, xdrVoid } from '../rpc/xdr/index.ts'

export const PORT_RPC = 4_600
export const PORT_GRPC = 4_601
export const PORT_FRAMES = 4_602

const PROGRAM = 0x2000_0bee
const VERSION = 1
export const BLOB_BYTES = 1024 * 1024

/** The bytes where they came, without a copy; and lent. */
const viewXdr: XdrCodec<XdrOpaque> = {
  encode: (xdr, value) => xdr.putOpaque('blob', value),
  decode: xdr => xdr.opaqueView('blob'),
}

const of = { program: PROGRAM, version: VERSION, isIdempotent: true } as const

export const NULL_CALL: RpcProcedure<void, void> = {
  ...of,
  name: 'BENCH_NULL',
  procedure: 0,
  argument: xdrVoid,
  result: xdrVoid,
}

/** As many bytes as asked for. */
export const BLOB_CALL: RpcProcedure<number, XdrOpaque> = {
  ...of,
  name: 'BENCH_BLOB',
  procedure: 1,
  argument: xdrUint,
  result: viewXdr,
}

export function benchService(): RpcService {
  const bytes = new Uint8Array(BLOB_BYTES).fill(0x78)
  const blob = XdrOpaque.of(bytes)
  return {
    name: 'BENCH',
    program: PROGRAM,
    version: VERSION,
    handlers: [
      rpcHandler(NULL_CALL, () => {}),
      rpcHandler(BLOB_CALL, length =>
        length === bytes.length ? blob : XdrOpaque.of(bytes.subarray(0, length)),
      ),
    ],
  }
}
