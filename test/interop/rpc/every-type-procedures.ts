// Made from every-type.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcProcedure } from '../../../src/rpc/stub-types.ts'
import {
  xdrBool,
  xdrDouble,
  xdrFloat,
  xdrHyper,
  xdrInt,
  xdrUhyper,
  xdrUint,
  xdrVoid,
} from '../../../src/rpc/xdr/index.ts'
import {
  blobXdr,
  colorXdr,
  everythingXdr,
  lookupXdr,
  matrixXdr,
  moreXdr,
  nameXdr,
  treeXdr,
} from './every-type-codecs.ts'
import type { Blob, Color, Everything, Lookup, Matrix, More, Name, Tree } from './every-type-types.ts'

export const EVERY_TYPE = 536874622
export const EVERY_TYPE_V1 = 1
export const EVERY_TYPE_V3 = 3

/** Version 1 of EVERY_TYPE. */
export const everyTypeV1Procedures = {
  null: {
    name: 'ET_NULL',
    program: 536874622,
    version: 1,
    procedure: 0,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrVoid,
  } satisfies RpcProcedure<void, void>,
  echo: {
    name: 'ET_ECHO',
    program: 536874622,
    version: 1,
    procedure: 1,
    isIdempotent: true,
    argument: everythingXdr,
    result: everythingXdr,
  } satisfies RpcProcedure<Everything, Everything>,
  add: {
    name: 'ET_ADD',
    program: 536874622,
    version: 1,
    procedure: 2,
    isIdempotent: false,
    argument: {
      encode(xdr, value) {
        xdr.putHyper('argument1', value[0])
        xdr.putInt('argument2', value[1])
      },
      decode(xdr) {
        return [xdr.hyper('argument1'), xdr.int('argument2')]
      },
    },
    result: xdrHyper,
  } satisfies RpcProcedure<readonly [bigint, number], bigint>,
  invert: {
    name: 'ET_INVERT',
    program: 536874622,
    version: 1,
    procedure: 3,
    isIdempotent: false,
    argument: xdrUint,
    result: xdrUint,
  } satisfies RpcProcedure<number, number>,
  double: {
    name: 'ET_DOUBLE',
    program: 536874622,
    version: 1,
    procedure: 4,
    isIdempotent: false,
    argument: xdrUhyper,
    result: xdrUhyper,
  } satisfies RpcProcedure<bigint, bigint>,
  half: {
    name: 'ET_HALF',
    program: 536874622,
    version: 1,
    procedure: 5,
    isIdempotent: false,
    argument: xdrFloat,
    result: xdrFloat,
  } satisfies RpcProcedure<number, number>,
  square: {
    name: 'ET_SQUARE',
    program: 536874622,
    version: 1,
    procedure: 6,
    isIdempotent: false,
    argument: xdrDouble,
    result: xdrDouble,
  } satisfies RpcProcedure<number, number>,
  not: {
    name: 'ET_NOT',
    program: 536874622,
    version: 1,
    procedure: 7,
    isIdempotent: false,
    argument: xdrBool,
    result: xdrBool,
  } satisfies RpcProcedure<boolean, boolean>,
  color: {
    name: 'ET_COLOR',
    program: 536874622,
    version: 1,
    procedure: 8,
    isIdempotent: false,
    argument: colorXdr,
    result: colorXdr,
  } satisfies RpcProcedure<Color, Color>,
  name: {
    name: 'ET_NAME',
    program: 536874622,
    version: 1,
    procedure: 9,
    isIdempotent: false,
    argument: nameXdr,
    result: nameXdr,
  } satisfies RpcProcedure<Name, Name>,
  negate: {
    name: 'ET_NEGATE',
    program: 536874622,
    version: 1,
    procedure: 10,
    isIdempotent: false,
    argument: matrixXdr,
    result: matrixXdr,
  } satisfies RpcProcedure<Matrix, Matrix>,
  lookup: {
    name: 'ET_LOOKUP',
    program: 536874622,
    version: 1,
    procedure: 11,
    isIdempotent: false,
    argument: xdrInt,
    result: lookupXdr,
  } satisfies RpcProcedure<number, Lookup>,
  mirror: {
    name: 'ET_MIRROR',
    program: 536874622,
    version: 1,
    procedure: 12,
    isIdempotent: false,
    argument: treeXdr,
    result: treeXdr,
  } satisfies RpcProcedure<Tree, Tree>,
  /** As many bytes as asked for, each the number of its place. */
  blob: {
    name: 'ET_BLOB',
    program: 536874622,
    version: 1,
    procedure: 13,
    isIdempotent: true,
    argument: xdrUint,
    result: blobXdr,
  } satisfies RpcProcedure<number, Blob>,
  /** The sum of all bytes. */
  sum: {
    name: 'ET_SUM',
    program: 536874622,
    version: 1,
    procedure: 14,
    isIdempotent: false,
    argument: blobXdr,
    result: xdrUint,
  } satisfies RpcProcedure<Blob, number>,
  more: {
    name: 'ET_MORE',
    program: 536874622,
    version: 1,
    procedure: 15,
    isIdempotent: false,
    argument: moreXdr,
    result: moreXdr,
  } satisfies RpcProcedure<More, More>,
  /** Answered with AUTH_TOOWEAK. */
  weak: {
    name: 'ET_WEAK',
    program: 536874622,
    version: 1,
    procedure: 20,
    isIdempotent: false,
    argument: xdrVoid,
    result: xdrVoid,
  } satisfies RpcProcedure<void, void>,
  /** Answered with SYSTEM_ERR. */
  fail: {
    name: 'ET_FAIL',
    program: 536874622,
    version: 1,
    procedure: 21,
    isIdempotent: false,
    argument: xdrVoid,
    result: xdrVoid,
  } satisfies RpcProcedure<void, void>,
}

/** Version 3 of EVERY_TYPE. */
export const everyTypeV3Procedures = {
  etThree: {
    name: 'ET_THREE',
    program: 536874622,
    version: 3,
    procedure: 1,
    isIdempotent: false,
    argument: xdrVoid,
    result: xdrInt,
  } satisfies RpcProcedure<void, number>,
}
