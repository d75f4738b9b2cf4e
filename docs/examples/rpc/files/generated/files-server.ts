// Made from files.x by putnext rpcgen. Edits are lost when it runs again.
import { type Awaitable, type RpcContext, type RpcService, rpcHandler } from 'putnext/rpc'
import { filesV1Procedures } from './files-procedures.ts'
import type { Entry, Fetched, File, FileName, FileStatus } from './files-types.ts'

/** What a server of version 1 of FILES implements. */
export interface FilesV1Service {
  /** Keeps a file; one of that name is replaced. */
  store(argument: File, context: RpcContext): Awaitable<FileStatus>
  fetch(argument: FileName, context: RpcContext): Awaitable<Fetched>
  /** FILE_NOT_FOUND if it was not there: so asked twice the answers differ. */
  remove(argument: FileName, context: RpcContext): Awaitable<FileStatus>
  /** All names and sizes. */
  list(context: RpcContext): Awaitable<readonly Entry[]>
}

/** The dispatch table of version 1 of FILES, to be registered with a server. */
export function filesV1Service(service: FilesV1Service): RpcService {
  return {
    name: 'FILES',
    program: 536871170,
    version: 1,
    handlers: [
      rpcHandler(filesV1Procedures.store, (argument, context) => service.store(argument, context)),
      rpcHandler(filesV1Procedures.fetch, (argument, context) => service.fetch(argument, context)),
      rpcHandler(filesV1Procedures.remove, (argument, context) => service.remove(argument, context)),
      rpcHandler(filesV1Procedures.list, (_argument, context) => service.list(context)),
    ],
  }
}
