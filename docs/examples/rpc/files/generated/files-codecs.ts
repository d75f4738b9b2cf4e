// Made from files.x by putnext rpcgen. Edits are lost when it runs again.
import { type XdrCodec, xdrEnum, xdrString } from 'putnext/xdr'
import { type Entry, type Fetched, type File, type FileName, FileStatus } from './files-types.ts'

export const fileStatusXdr: XdrCodec<FileStatus> = xdrEnum(FileStatus)
export const fileStatusValues: ReadonlySet<FileStatus> = new Set(Object.values(FileStatus))

export const fileNameXdr: XdrCodec<FileName> = xdrString(255)

export const fileXdr: XdrCodec<File> = {
  encode(xdr, value) {
    xdr.putString('name', value.name, 255)
    xdr.putOpaque('contents', value.contents, 1048576)
  },
  decode(xdr) {
    return {
      name: xdr.string('name', 255),
      contents: xdr.opaqueView('contents', 1048576),
    }
  },
}

export const entryXdr: XdrCodec<Entry> = {
  encode(xdr, value) {
    xdr.putString('name', value.name, 255)
    xdr.putUint('size', value.size)
  },
  decode(xdr) {
    return {
      name: xdr.string('name', 255),
      size: xdr.uint('size'),
    }
  },
}

export const fetchedXdr: XdrCodec<Fetched> = {
  encode(xdr, value) {
    xdr.putEnum('status', value.status, fileStatusValues)
    switch (value.status) {
      case FileStatus.FILE_OK:
        xdr.putOpaque('contents', value.contents, 1048576)
        break
    }
  },
  decode(xdr) {
    const discriminant = xdr.enum('status', fileStatusValues)
    switch (discriminant) {
      case FileStatus.FILE_OK:
        return { status: discriminant, contents: xdr.opaqueView('contents', 1048576) }
      default:
        return { status: discriminant }
    }
  },
}
