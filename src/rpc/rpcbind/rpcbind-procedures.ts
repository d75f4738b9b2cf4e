// Made from rpcbind.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcProcedure } from '../stub-types.ts'
import { xdrBool, xdrLatin1, xdrList, xdrString, xdrUint, xdrVoid } from '../xdr/index.ts'
import {
  netbufXdr,
  pmapCallArgsXdr,
  pmapCallResultXdr,
  pmaplistXdr,
  pmapXdr,
  rpcbCallArgsXdr,
  rpcbCallResultXdr,
  rpcbEntryListXdr,
  rpcblistXdr,
  rpcbStatByversXdr,
  rpcbXdr,
} from './rpcbind-codecs.ts'
import type {
  Netbuf,
  Pmap,
  PmapCallArgs,
  PmapCallResult,
  Pmaplist,
  Rpcb,
  RpcbCallArgs,
  RpcbCallResult,
  RpcbEntryList,
  Rpcblist,
  RpcbStatByvers,
} from './rpcbind-types.ts'

export const RPCBIND_PROGRAM = 100000
export const PMAP_VERS = 2
export const RPCB_VERS3 = 3
export const RPCB_VERS4 = 4

/**
 * Version 2 of RPCBIND_PROGRAM.
 * The port mapper: IPv4 only.
 */
export const rpcbindV2Procedures = {
  null: {
    name: 'PMAPPROC_NULL',
    program: 100000,
    version: 2,
    procedure: 0,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrVoid,
  } satisfies RpcProcedure<void, void>,
  /** Registers a port. False: it is another one's, or this caller may not. */
  set: {
    name: 'PMAPPROC_SET',
    program: 100000,
    version: 2,
    procedure: 1,
    isIdempotent: false,
    argument: pmapXdr,
    result: xdrBool,
  } satisfies RpcProcedure<Pmap, boolean>,
  /** Takes the entries of a version on all transports away; protocol and port are not looked at. */
  unset: {
    name: 'PMAPPROC_UNSET',
    program: 100000,
    version: 2,
    procedure: 2,
    isIdempotent: false,
    argument: pmapXdr,
    result: xdrBool,
  } satisfies RpcProcedure<Pmap, boolean>,
  /** The port of a program, 0 if it has none. */
  getport: {
    name: 'PMAPPROC_GETPORT',
    program: 100000,
    version: 2,
    procedure: 3,
    isIdempotent: true,
    argument: pmapXdr,
    result: xdrUint,
  } satisfies RpcProcedure<Pmap, number>,
  dump: {
    name: 'PMAPPROC_DUMP',
    program: 100000,
    version: 2,
    procedure: 4,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrList(pmaplistXdr),
  } satisfies RpcProcedure<void, readonly Pmaplist[]>,
  /** Calls a program of this machine. There is no answer if that goes wrong. */
  callit: {
    name: 'PMAPPROC_CALLIT',
    program: 100000,
    version: 2,
    procedure: 5,
    isIdempotent: false,
    argument: pmapCallArgsXdr,
    result: pmapCallResultXdr,
  } satisfies RpcProcedure<PmapCallArgs, PmapCallResult>,
}

/** Version 3 of RPCBIND_PROGRAM. */
export const rpcbindV3Procedures = {
  null: {
    name: 'RPCBPROC_NULL',
    program: 100000,
    version: 3,
    procedure: 0,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrVoid,
  } satisfies RpcProcedure<void, void>,
  /** Registers an address. False: the entry is another one's, or this caller may not. */
  set: {
    name: 'RPCBPROC_SET',
    program: 100000,
    version: 3,
    procedure: 1,
    isIdempotent: false,
    argument: rpcbXdr,
    result: xdrBool,
  } satisfies RpcProcedure<Rpcb, boolean>,
  /** Takes an entry away; without a netid, those of all transports. */
  unset: {
    name: 'RPCBPROC_UNSET',
    program: 100000,
    version: 3,
    procedure: 2,
    isIdempotent: false,
    argument: rpcbXdr,
    result: xdrBool,
  } satisfies RpcProcedure<Rpcb, boolean>,
  /** The address of a program on the transport that the call came by, empty if it has none. */
  getaddr: {
    name: 'RPCBPROC_GETADDR',
    program: 100000,
    version: 3,
    procedure: 3,
    isIdempotent: true,
    argument: rpcbXdr,
    result: xdrLatin1(),
  } satisfies RpcProcedure<Rpcb, string>,
  dump: {
    name: 'RPCBPROC_DUMP',
    program: 100000,
    version: 3,
    procedure: 4,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrList(rpcblistXdr),
  } satisfies RpcProcedure<void, readonly Rpcblist[]>,
  /** Calls a program of this machine. There is no answer if that goes wrong. */
  callit: {
    name: 'RPCBPROC_CALLIT',
    program: 100000,
    version: 3,
    procedure: 5,
    isIdempotent: false,
    argument: rpcbCallArgsXdr,
    result: rpcbCallResultXdr,
  } satisfies RpcProcedure<RpcbCallArgs, RpcbCallResult>,
  /** Seconds since 1970. */
  gettime: {
    name: 'RPCBPROC_GETTIME',
    program: 100000,
    version: 3,
    procedure: 6,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrUint,
  } satisfies RpcProcedure<void, number>,
  uaddr2taddr: {
    name: 'RPCBPROC_UADDR2TADDR',
    program: 100000,
    version: 3,
    procedure: 7,
    isIdempotent: true,
    argument: xdrString(),
    result: netbufXdr,
  } satisfies RpcProcedure<string, Netbuf>,
  taddr2uaddr: {
    name: 'RPCBPROC_TADDR2UADDR',
    program: 100000,
    version: 3,
    procedure: 8,
    isIdempotent: true,
    argument: netbufXdr,
    result: xdrLatin1(),
  } satisfies RpcProcedure<Netbuf, string>,
}

/** Version 4 of RPCBIND_PROGRAM. */
export const rpcbindV4Procedures = {
  null: {
    name: 'RPCBPROC_NULL',
    program: 100000,
    version: 4,
    procedure: 0,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrVoid,
  } satisfies RpcProcedure<void, void>,
  /** Registers an address. False: the entry is another one's, or this caller may not. */
  set: {
    name: 'RPCBPROC_SET',
    program: 100000,
    version: 4,
    procedure: 1,
    isIdempotent: false,
    argument: rpcbXdr,
    result: xdrBool,
  } satisfies RpcProcedure<Rpcb, boolean>,
  /** Takes an entry away; without a netid, those of all transports. */
  unset: {
    name: 'RPCBPROC_UNSET',
    program: 100000,
    version: 4,
    procedure: 2,
    isIdempotent: false,
    argument: rpcbXdr,
    result: xdrBool,
  } satisfies RpcProcedure<Rpcb, boolean>,
  /** The address of a program on the transport that the call came by, empty if it has none. */
  getaddr: {
    name: 'RPCBPROC_GETADDR',
    program: 100000,
    version: 4,
    procedure: 3,
    isIdempotent: true,
    argument: rpcbXdr,
    result: xdrLatin1(),
  } satisfies RpcProcedure<Rpcb, string>,
  dump: {
    name: 'RPCBPROC_DUMP',
    program: 100000,
    version: 4,
    procedure: 4,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrList(rpcblistXdr),
  } satisfies RpcProcedure<void, readonly Rpcblist[]>,
  /** Calls a program of this machine. There is no answer if that goes wrong. */
  bcast: {
    name: 'RPCBPROC_BCAST',
    program: 100000,
    version: 4,
    procedure: 5,
    isIdempotent: false,
    argument: rpcbCallArgsXdr,
    result: rpcbCallResultXdr,
  } satisfies RpcProcedure<RpcbCallArgs, RpcbCallResult>,
  /** Seconds since 1970. */
  gettime: {
    name: 'RPCBPROC_GETTIME',
    program: 100000,
    version: 4,
    procedure: 6,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrUint,
  } satisfies RpcProcedure<void, number>,
  uaddr2taddr: {
    name: 'RPCBPROC_UADDR2TADDR',
    program: 100000,
    version: 4,
    procedure: 7,
    isIdempotent: true,
    argument: xdrString(),
    result: netbufXdr,
  } satisfies RpcProcedure<string, Netbuf>,
  taddr2uaddr: {
    name: 'RPCBPROC_TADDR2UADDR',
    program: 100000,
    version: 4,
    procedure: 8,
    isIdempotent: true,
    argument: netbufXdr,
    result: xdrLatin1(),
  } satisfies RpcProcedure<Netbuf, string>,
  /** As GETADDR, but of exactly that version. */
  getversaddr: {
    name: 'RPCBPROC_GETVERSADDR',
    program: 100000,
    version: 4,
    procedure: 9,
    isIdempotent: true,
    argument: rpcbXdr,
    result: xdrLatin1(),
  } satisfies RpcProcedure<Rpcb, string>,
  /** Calls a program of this machine, and tells what goes wrong. */
  indirect: {
    name: 'RPCBPROC_INDIRECT',
    program: 100000,
    version: 4,
    procedure: 10,
    isIdempotent: false,
    argument: rpcbCallArgsXdr,
    result: rpcbCallResultXdr,
  } satisfies RpcProcedure<RpcbCallArgs, RpcbCallResult>,
  /** The addresses of a version on all transports. */
  getaddrlist: {
    name: 'RPCBPROC_GETADDRLIST',
    program: 100000,
    version: 4,
    procedure: 11,
    isIdempotent: true,
    argument: rpcbXdr,
    result: xdrList(rpcbEntryListXdr),
  } satisfies RpcProcedure<Rpcb, readonly RpcbEntryList[]>,
  /** What each version was asked for. */
  getstat: {
    name: 'RPCBPROC_GETSTAT',
    program: 100000,
    version: 4,
    procedure: 12,
    isIdempotent: true,
    argument: xdrVoid,
    result: rpcbStatByversXdr,
  } satisfies RpcProcedure<void, RpcbStatByvers>,
}
