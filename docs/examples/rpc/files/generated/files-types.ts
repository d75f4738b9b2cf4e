// Made from files.x by putnext rpcgen. Edits are lost when it runs again.
import type { XdrOpaque } from 'putnext/xdr'

export const NAME_BYTES = 255
export const FILE_BYTES = 1048576

export const FileStatus = {
  FILE_OK: 0,
  FILE_NOT_FOUND: 1,
  FILE_BAD_NAME: 2,
  FILE_STORE_FULL: 3,
} as const
export type FileStatus = (typeof FileStatus)[keyof typeof FileStatus]

export type FileName = string

export interface File {
  readonly name: FileName
  readonly contents: XdrOpaque
}

/** An entry of a linked list, which is an array here. */
export interface Entry {
  readonly name: FileName
  readonly size: number
}

export type Fetched =
  | { readonly status: typeof FileStatus.FILE_OK; readonly contents: XdrOpaque }
  | { readonly status: Exclude<FileStatus, typeof FileStatus.FILE_OK> }
