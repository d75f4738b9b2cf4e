// Made from rpcbind.x by putnext rpcgen. Edits are lost when it runs again.
import { type Awaitable, type RpcContext, type RpcService, rpcHandler } from '../stub-types.ts'
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

/** What a server of version 2 of RPCBIND_PROGRAM implements. */
export interface RpcbindV2Service {
  /** Registers a port. False: it is another one's, or this caller may not. */
  set(map: Pmap, context: RpcContext): Awaitable<boolean>
  /** Takes the entries of a version on all transports away; protocol and port are not looked at. */
  unset(map: Pmap, context: RpcContext): Awaitable<boolean>
  /** The port of a program, 0 if it has none. */
  getport(map: Pmap, context: RpcContext): Awaitable<number>
  dump(context: RpcContext): Awaitable<readonly Pmaplist[]>
  /** Calls a program of this machine. There is no answer if that goes wrong. */
  callit(call: PmapCallArgs, context: RpcContext): Awaitable<PmapCallResult>
}

/** The dispatch table of version 2 of RPCBIND_PROGRAM, to be registered with a server. */
export function rpcbindV2Service(service: RpcbindV2Service): RpcService {
  return {
    name: 'RPCBIND_PROGRAM',
    program: 100000,
    version: 2,
    handlers: [
      rpcHandler(rpcbindV2Procedures.null, () => {}),
      rpcHandler(rpcbindV2Procedures.set, (argument, context) => service.set(argument, context)),
      rpcHandler(rpcbindV2Procedures.unset, (argument, context) => service.unset(argument, context)),
      rpcHandler(rpcbindV2Procedures.getport, (argument, context) => service.getport(argument, context)),
      rpcHandler(rpcbindV2Procedures.dump, (_argument, context) => service.dump(context)),
      rpcHandler(rpcbindV2Procedures.callit, (argument, context) => service.callit(argument, context)),
    ],
  }
}

/** What a server of version 3 of RPCBIND_PROGRAM implements. */
export interface RpcbindV3Service {
  /** Registers an address. False: the entry is another one's, or this caller may not. */
  set(map: Rpcb, context: RpcContext): Awaitable<boolean>
  /** Takes an entry away; without a netid, those of all transports. */
  unset(map: Rpcb, context: RpcContext): Awaitable<boolean>
  /** The address of a program on the transport that the call came by, empty if it has none. */
  getaddr(map: Rpcb, context: RpcContext): Awaitable<string>
  dump(context: RpcContext): Awaitable<readonly Rpcblist[]>
  /** Calls a program of this machine. There is no answer if that goes wrong. */
  callit(call: RpcbCallArgs, context: RpcContext): Awaitable<RpcbCallResult>
  /** Seconds since 1970. */
  gettime(context: RpcContext): Awaitable<number>
  uaddr2taddr(address: string, context: RpcContext): Awaitable<Netbuf>
  taddr2uaddr(address: Netbuf, context: RpcContext): Awaitable<string>
}

/** The dispatch table of version 3 of RPCBIND_PROGRAM, to be registered with a server. */
export function rpcbindV3Service(service: RpcbindV3Service): RpcService {
  return {
    name: 'RPCBIND_PROGRAM',
    program: 100000,
    version: 3,
    handlers: [
      rpcHandler(rpcbindV3Procedures.null, () => {}),
      rpcHandler(rpcbindV3Procedures.set, (argument, context) => service.set(argument, context)),
      rpcHandler(rpcbindV3Procedures.unset, (argument, context) => service.unset(argument, context)),
      rpcHandler(rpcbindV3Procedures.getaddr, (argument, context) => service.getaddr(argument, context)),
      rpcHandler(rpcbindV3Procedures.dump, (_argument, context) => service.dump(context)),
      rpcHandler(rpcbindV3Procedures.callit, (argument, context) => service.callit(argument, context)),
      rpcHandler(rpcbindV3Procedures.gettime, (_argument, context) => service.gettime(context)),
      rpcHandler(rpcbindV3Procedures.uaddr2taddr, (argument, context) =>
        service.uaddr2taddr(argument, context),
      ),
      rpcHandler(rpcbindV3Procedures.taddr2uaddr, (argument, context) =>
        service.taddr2uaddr(argument, context),
      ),
    ],
  }
}

/** What a server of version 4 of RPCBIND_PROGRAM implements. */
export interface RpcbindV4Service {
  /** Registers an address. False: the entry is another one's, or this caller may not. */
  set(map: Rpcb, context: RpcContext): Awaitable<boolean>
  /** Takes an entry away; without a netid, those of all transports. */
  unset(map: Rpcb, context: RpcContext): Awaitable<boolean>
  /** The address of a program on the transport that the call came by, empty if it has none. */
  getaddr(map: Rpcb, context: RpcContext): Awaitable<string>
  dump(context: RpcContext): Awaitable<readonly Rpcblist[]>
  /** Calls a program of this machine. There is no answer if that goes wrong. */
  bcast(call: RpcbCallArgs, context: RpcContext): Awaitable<RpcbCallResult>
  /** Seconds since 1970. */
  gettime(context: RpcContext): Awaitable<number>
  uaddr2taddr(address: string, context: RpcContext): Awaitable<Netbuf>
  taddr2uaddr(address: Netbuf, context: RpcContext): Awaitable<string>
  /** As GETADDR, but of exactly that version. */
  getversaddr(map: Rpcb, context: RpcContext): Awaitable<string>
  /** Calls a program of this machine, and tells what goes wrong. */
  indirect(call: RpcbCallArgs, context: RpcContext): Awaitable<RpcbCallResult>
  /** The addresses of a version on all transports. */
  getaddrlist(map: Rpcb, context: RpcContext): Awaitable<readonly RpcbEntryList[]>
  /** What each version was asked for. */
  getstat(context: RpcContext): Awaitable<RpcbStatByvers>
}

/** The dispatch table of version 4 of RPCBIND_PROGRAM, to be registered with a server. */
export function rpcbindV4Service(service: RpcbindV4Service): RpcService {
  return {
    name: 'RPCBIND_PROGRAM',
    program: 100000,
    version: 4,
    handlers: [
      rpcHandler(rpcbindV4Procedures.null, () => {}),
      rpcHandler(rpcbindV4Procedures.set, (argument, context) => service.set(argument, context)),
      rpcHandler(rpcbindV4Procedures.unset, (argument, context) => service.unset(argument, context)),
      rpcHandler(rpcbindV4Procedures.getaddr, (argument, context) => service.getaddr(argument, context)),
      rpcHandler(rpcbindV4Procedures.dump, (_argument, context) => service.dump(context)),
      rpcHandler(rpcbindV4Procedures.bcast, (argument, context) => service.bcast(argument, context)),
      rpcHandler(rpcbindV4Procedures.gettime, (_argument, context) => service.gettime(context)),
      rpcHandler(rpcbindV4Procedures.uaddr2taddr, (argument, context) =>
        service.uaddr2taddr(argument, context),
      ),
      rpcHandler(rpcbindV4Procedures.taddr2uaddr, (argument, context) =>
        service.taddr2uaddr(argument, context),
      ),
      rpcHandler(rpcbindV4Procedures.getversaddr, (argument, context) =>
        service.getversaddr(argument, context),
      ),
      rpcHandler(rpcbindV4Procedures.indirect, (argument, context) => service.indirect(argument, context)),
      rpcHandler(rpcbindV4Procedures.getaddrlist, (argument, context) =>
        service.getaddrlist(argument, context),
      ),
      rpcHandler(rpcbindV4Procedures.getstat, (_argument, context) => service.getstat(context)),
    ],
  }
}
