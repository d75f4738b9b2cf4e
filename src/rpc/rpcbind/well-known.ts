/** Numbers that everybody knows: rpcbind's own, and programs that people call by name (rpc(5), assigned by IANA). */

export const RPCBIND_PORT = 111
export const RPCBIND_PROGRAM = 100_000

/** By number; the first name is the usual one. */
const PROGRAMS: readonly (readonly [number: number, ...names: string[]])[] = [
  [RPCBIND_PROGRAM, 'rpcbind', 'portmapper', 'portmap', 'sunrpc'],
  [100_001, 'rstatd', 'rstat'],
  [100_002, 'rusersd', 'rusers'],
  [100_003, 'nfs', 'nfsprog'],
  [100_004, 'ypserv', 'ypprog'],
  [100_005, 'mountd', 'mount'],
  [100_011, 'rquotad', 'rquotaprog'],
  [100_012, 'sprayd', 'spray'],
  [100_017, 'rexd', 'rex'],
  [100_021, 'nlockmgr'],
  [100_024, 'status'],
  [100_026, 'bootparam'],
  [100_227, 'nfs_acl'],
]

/** @returns null if nobody knows it */
export function programName(program: number): string | null {
  return PROGRAMS.find(([number]) => number === program)?.[1] ?? null
}

/** @returns null if no program is called so */
export function programNumber(name: string): number | null {
  return PROGRAMS.find(([, ...names]) => names.includes(name))?.[0] ?? null
}
