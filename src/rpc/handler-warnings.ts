/**
 * Who hears of handlers that throw when a server has no `onError`: whoever reads the process's warnings, once for each procedure. Peers
 * choose how often a handler throws, so that more would be a log that they fill.
 */

/** Procedures that are told of. */
const TOLD_MAX = 64

/** @returns what stands for a server's `onError` */
export function warnOfEach(): (error: unknown, where: string) => void {
  const told = new Set<string>()
  return (error, where) => {
    if (told.has(where) || told.size >= TOLD_MAX) return
    told.add(where)
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.emitWarning(
      `${where}: what a handler threw, answered SYSTEM_ERR (told once; onError is told each time)`,
      {
        type: 'RpcHandlerWarning',
        code: 'PUTNEXT_RPC_HANDLER',
        detail: text,
      },
    )
  }
}
