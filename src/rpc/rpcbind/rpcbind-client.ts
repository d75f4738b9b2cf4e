// Made from rpcbind.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcCaller, RpcCallOptions } from '../stub-types.ts'
import { rpcbindV2Procedures, rpcbindV3Procedures, rpcbindV4Procedures } from './rpcbind-procedures.ts'
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

/** Calls version 2 of RPCBIND_PROGRAM: each method is a procedure on the other side. */
export class RpcbindV2Client {
  readonly #caller: RpcCaller

  constructor(caller: RpcCaller) {
    this.#caller = caller
  }

  null(options?: RpcCallOptions): Promise<void> {
    return this.#caller.call(rpcbindV2Procedures.null, undefined, options)
  }

  /** Registers a port. False: it is another one's, or this caller may not. */
  set(map: Pmap, options?: RpcCallOptions): Promise<boolean> {
    return this.#caller.call(rpcbindV2Procedures.set, map, options)
  }

  /** Takes the entries of a version on all transports away; protocol and port are not looked at. */
  unset(map: Pmap, options?: RpcCallOptions): Promise<boolean> {
    return this.#caller.call(rpcbindV2Procedures.unset, map, options)
  }

  /** The port of a program, 0 if it has none. */
  getport(map: Pmap, options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(rpcbindV2Procedures.getport, map, options)
  }

  dump(options?: RpcCallOptions): Promise<readonly Pmaplist[]> {
    return this.#caller.call(rpcbindV2Procedures.dump, undefined, options)
  }

  /** Calls a program of this machine. There is no answer if that goes wrong. */
  callit(call: PmapCallArgs, options?: RpcCallOptions): Promise<PmapCallResult> {
    return this.#caller.call(rpcbindV2Procedures.callit, call, options)
  }
}

/** Calls version 3 of RPCBIND_PROGRAM: each method is a procedure on the other side. */
export class RpcbindV3Client {
  readonly #caller: RpcCaller

  constructor(caller: RpcCaller) {
    this.#caller = caller
  }

  null(options?: RpcCallOptions): Promise<void> {
    return this.#caller.call(rpcbindV3Procedures.null, undefined, options)
  }

  /** Registers an address. False: the entry is another one's, or this caller may not. */
  set(map: Rpcb, options?: RpcCallOptions): Promise<boolean> {
    return this.#caller.call(rpcbindV3Procedures.set, map, options)
  }

  /** Takes an entry away; without a netid, those of all transports. */
  unset(map: Rpcb, options?: RpcCallOptions): Promise<boolean> {
    return this.#caller.call(rpcbindV3Procedures.unset, map, options)
  }

  /** The address of a program on the transport that the call came by, empty if it has none. */
  getaddr(map: Rpcb, options?: RpcCallOptions): Promise<string> {
    return this.#caller.call(rpcbindV3Procedures.getaddr, map, options)
  }

  dump(options?: RpcCallOptions): Promise<readonly Rpcblist[]> {
    return this.#caller.call(rpcbindV3Procedures.dump, undefined, options)
  }

  /** Calls a program of this machine. There is no answer if that goes wrong. */
  callit(call: RpcbCallArgs, options?: RpcCallOptions): Promise<RpcbCallResult> {
    return this.#caller.call(rpcbindV3Procedures.callit, call, options)
  }

  /** Seconds since 1970. */
  gettime(options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(rpcbindV3Procedures.gettime, undefined, options)
  }

  uaddr2taddr(address: string, options?: RpcCallOptions): Promise<Netbuf> {
    return this.#caller.call(rpcbindV3Procedures.uaddr2taddr, address, options)
  }

  taddr2uaddr(address: Netbuf, options?: RpcCallOptions): Promise<string> {
    return this.#caller.call(rpcbindV3Procedures.taddr2uaddr, address, options)
  }
}

/** Calls version 4 of RPCBIND_PROGRAM: each method is a procedure on the other side. */
export class RpcbindV4Client {
  readonly #caller: RpcCaller

  constructor(caller: RpcCaller) {
    this.#caller = caller
  }

  null(options?: RpcCallOptions): Promise<void> {
    return this.#caller.call(rpcbindV4Procedures.null, undefined, options)
  }

  /** Registers an address. False: the entry is another one's, or this caller may not. */
  set(map: Rpcb, options?: RpcCallOptions): Promise<boolean> {
    return this.#caller.call(rpcbindV4Procedures.set, map, options)
  }

  /** Takes an entry away; without a netid, those of all transports. */
  unset(map: Rpcb, options?: RpcCallOptions): Promise<boolean> {
    return this.#caller.call(rpcbindV4Procedures.unset, map, options)
  }

  /** The address of a program on the transport that the call came by, empty if it has none. */
  getaddr(map: Rpcb, options?: RpcCallOptions): Promise<string> {
    return this.#caller.call(rpcbindV4Procedures.getaddr, map, options)
  }

  dump(options?: RpcCallOptions): Promise<readonly Rpcblist[]> {
    return this.#caller.call(rpcbindV4Procedures.dump, undefined, options)
  }

  /** Calls a program of this machine. There is no answer if that goes wrong. */
  bcast(call: RpcbCallArgs, options?: RpcCallOptions): Promise<RpcbCallResult> {
    return this.#caller.call(rpcbindV4Procedures.bcast, call, options)
  }

  /** Seconds since 1970. */
  gettime(options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(rpcbindV4Procedures.gettime, undefined, options)
  }

  uaddr2taddr(address: string, options?: RpcCallOptions): Promise<Netbuf> {
    return this.#caller.call(rpcbindV4Procedures.uaddr2taddr, address, options)
  }

  taddr2uaddr(address: Netbuf, options?: RpcCallOptions): Promise<string> {
    return this.#caller.call(rpcbindV4Procedures.taddr2uaddr, address, options)
  }

  /** As GETADDR, but of exactly that version. */
  getversaddr(map: Rpcb, options?: RpcCallOptions): Promise<string> {
    return this.#caller.call(rpcbindV4Procedures.getversaddr, map, options)
  }

  /** Calls a program of this machine, and tells what goes wrong. */
  indirect(call: RpcbCallArgs, options?: RpcCallOptions): Promise<RpcbCallResult> {
    return this.#caller.call(rpcbindV4Procedures.indirect, call, options)
  }

  /** The addresses of a version on all transports. */
  getaddrlist(map: Rpcb, options?: RpcCallOptions): Promise<readonly RpcbEntryList[]> {
    return this.#caller.call(rpcbindV4Procedures.getaddrlist, map, options)
  }

  /** What each version was asked for. */
  getstat(options?: RpcCallOptions): Promise<RpcbStatByvers> {
    return this.#caller.call(rpcbindV4Procedures.getstat, undefined, options)
  }
}
