/** The HTTP file server on a node's own stack. */
import type { Socket } from 'node:net'
import type { StreamSocket } from './bridged-stream.ts'
import { createFileServer, type FileServerOptions } from './files/file-server.ts'
import { realDirectory } from './files/served-directory.ts'
import type { ListenOptions, Network } from './network.ts'

/** Connections at once; what comes beyond waits in the backlog, then is reset. */
const CONNECTIONS_MAX = 1_024

export interface FileService {
  readonly address: string
  readonly port: number
  /** Without symbolic links. */
  readonly directory: string
  close(): void
}

/**
 * Listens and serves.
 * @throws StackError `ERR_NOT_FOUND`, `ERR_ACCESS` for the directory; `ERR_ADDR_IN_USE`, `ERR_ADDR_NOT_AVAILABLE`
 */
export async function startFileService(
  network: Pick<Network, 'listenStreams'>,
  options: FileServerOptions & { readonly port: number; readonly address?: string | undefined },
): Promise<FileService> {
  const { port, address, ...served } = options
  const server = createFileServer(served)
  const place: ListenOptions = { port, ...(address === undefined ? {} : { address }) }
  const listener = await network.listenStreams(place)
  // What node:http does when it listens itself: from now on it looks for connections that say nothing.
  server.emit('listening')
  const open = new Set<StreamSocket>()
  listener.onConnection = socket => {
    if (open.size >= CONNECTIONS_MAX) return void socket.resetAndDestroy()
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => {})
    server.emit('connection', socket as unknown as Socket)
  }
  return {
    address: listener.address,
    port: listener.port,
    directory: realDirectory(options.directory),
    close: () => {
      listener.close()
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}
