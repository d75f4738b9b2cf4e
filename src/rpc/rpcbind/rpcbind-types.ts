// Made from rpcbind.x by putnext rpcgen. Edits are lost when it runs again.
/** Procedures counted of each version: those of version 4, of which NULL is the first. */
export const RPCB_STAT_PROCEDURES = 13
/** Versions 2, 3 and 4. */
export const RPCB_STAT_VERSIONS = 3

/** What the port mapper keeps: a port of the machine's IPv4 addresses. */
export interface Pmap {
  readonly prog: number
  readonly vers: number
  /** 6 for TCP, 17 for UDP. */
  readonly protocol: number
  /** 0 in an answer: not registered. */
  readonly port: number
}

/** An entry of a linked list, which is an array here. */
export interface Pmaplist {
  readonly map: Pmap
}

/** A call that the port mapper is asked to make on the caller's behalf. */
export interface PmapCallArgs {
  readonly prog: number
  readonly vers: number
  readonly proc: number
  readonly args: Uint8Array
}

export interface PmapCallResult {
  readonly port: number
  readonly result: Uint8Array
}

/** What rpcbind keeps: an address of a version of a program on one transport. */
export interface Rpcb {
  readonly prog: number
  readonly vers: number
  /** The transport: udp, tcp, udp6, tcp6. */
  readonly netid: string
  /** A universal address, as 10.77.1.2.0.111. */
  readonly address: string
  /** Who registered it. */
  readonly owner: string
}

/** An entry of a linked list, which is an array here. */
export interface Rpcblist {
  readonly map: Rpcb
}

/** A call that rpcbind is asked to make on the caller's behalf. */
export interface RpcbCallArgs {
  readonly prog: number
  readonly vers: number
  readonly proc: number
  readonly args: Uint8Array
}

export interface RpcbCallResult {
  /** Of the service that answered. */
  readonly address: string
  readonly result: Uint8Array
}

/** One of the addresses of a program, with what netconfig(5) says of its transport. */
export interface RpcbEntry {
  /** As the caller can use it. */
  readonly address: string
  readonly netid: string
  /** 1 for datagrams, 3 for connections that end in order. */
  readonly semantics: number
  /** inet, inet6 */
  readonly family: string
  /** udp, tcp */
  readonly protocol: string
}

/** An entry of a linked list, which is an array here. */
export interface RpcbEntryList {
  readonly entry: RpcbEntry
}

/** An address in the form that a machine has it, here Linux's socket addresses. */
export interface Netbuf {
  readonly maxlen: number
  readonly bytes: Uint8Array
}

/**
 * How often an address was asked for.
 * An entry of a linked list, which is an array here.
 */
export interface RpcbsAddrlist {
  readonly prog: number
  readonly vers: number
  readonly success: number
  readonly failure: number
  readonly netid: string
}

/**
 * How often a call was passed on.
 * An entry of a linked list, which is an array here.
 */
export interface RpcbsRmtcalllist {
  readonly prog: number
  readonly vers: number
  readonly proc: number
  readonly success: number
  readonly failure: number
  readonly indirect: number
  readonly netid: string
}

export interface RpcbStat {
  readonly calls: readonly number[]
  /** Entries that were set. */
  readonly set: number
  readonly unset: number
  readonly addresses: readonly RpcbsAddrlist[]
  readonly remoteCalls: readonly RpcbsRmtcalllist[]
}

export type RpcbStatByvers = readonly RpcbStat[]
