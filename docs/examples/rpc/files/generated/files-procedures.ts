// Made from files.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcProcedure } from 'putnext/rpc'
import { xdrList, xdrVoid } from 'putnext/xdr'
import { entryXdr, fetchedXdr, fileNameXdr, fileStatusXdr, fileXdr } from './files-codecs.ts'
import type { Entry, Fetched, File, FileName, FileStatus } from './files-types.ts'

export const FILES = 536871170
export const FILES_V1 = 1

/** Version 1 of FILES. */
export const filesV1Procedures = {
  /** Keeps a file; one of that name is replaced. */
  store: {
    name: 'FILE_STORE',
    program: 536871170,
    version: 1,
    procedure: 1,
    isIdempotent: true,
    argument: fileXdr,
    result: fileStatusXdr,
  } satisfies RpcProcedure<File, FileStatus>,
  fetch: {
    name: 'FILE_FETCH',
    program: 536871170,
    version: 1,
    procedure: 2,
    isIdempotent: true,
    argument: fileNameXdr,
    result: fetchedXdr,
  } satisfies RpcProcedure<FileName, Fetched>,
  /** FILE_NOT_FOUND if it was not there: so asked twice the answers differ. */
  remove: {
    name: 'FILE_REMOVE',
    program: 536871170,
    version: 1,
    procedure: 3,
    isIdempotent: false,
    argument: fileNameXdr,
    result: fileStatusXdr,
  } satisfies RpcProcedure<FileName, FileStatus>,
  /** All names and sizes. */
  list: {
    name: 'FILE_LIST',
    program: 536871170,
    version: 1,
    procedure: 4,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrList(entryXdr),
  } satisfies RpcProcedure<void, readonly Entry[]>,
}
