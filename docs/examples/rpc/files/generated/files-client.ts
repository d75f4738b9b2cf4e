// Made from files.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcCaller, RpcCallOptions } from 'putnext/rpc'
import { filesV1Procedures } from './files-procedures.ts'
import type { Entry, Fetched, File, FileName, FileStatus } from './files-types.ts'

/** Calls version 1 of FILES: each method is a procedure on the other side. */
export class FilesV1Client {
  readonly #caller: RpcCaller

  constructor(caller: RpcCaller) {
    this.#caller = caller
  }

  /** Keeps a file; one of that name is replaced. */
  store(argument: File, options?: RpcCallOptions): Promise<FileStatus> {
    return this.#caller.call(filesV1Procedures.store, argument, options)
  }

  fetch(argument: FileName, options?: RpcCallOptions): Promise<Fetched> {
    return this.#caller.call(filesV1Procedures.fetch, argument, options)
  }

  /** FILE_NOT_FOUND if it was not there: so asked twice the answers differ. */
  remove(argument: FileName, options?: RpcCallOptions): Promise<FileStatus> {
    return this.#caller.call(filesV1Procedures.remove, argument, options)
  }

  /** All names and sizes. */
  list(options?: RpcCallOptions): Promise<readonly Entry[]> {
    return this.#caller.call(filesV1Procedures.list, undefined, options)
  }
}
