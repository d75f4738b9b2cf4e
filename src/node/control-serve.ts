/** POST /serve: an HTTP server for the files of a directory, on the node's own stack for as long as the asker listens. */
import type { ControlContext } from './control.ts'
import type { ServeRequest } from './control-requests.ts'
import { type FileService, startFileService } from './file-service.ts'
import type { RequestEntry } from './files/file-server.ts'
import { portInUse } from './port-in-use.ts'

/** A line of POST /serve. */
export type ServeLine =
  | {
      readonly kind: 'listening'
      readonly address: string
      readonly port: number
      readonly directory: string
    }
  | ({ readonly kind: 'request' } & RequestEntry)

export async function postServe({ node, body, response, signal }: ControlContext): Promise<void> {
  const tell = (line: ServeLine): void => {
    // A reader that is slow misses lines; requests are not held up by it.
    if (!response.destroyed && !response.writableNeedDrain) response.write(`${JSON.stringify(line)}\n`)
  }
  const { directory, ...options } = body as ServeRequest
  const service: FileService = await startFileService(node.network, {
    ...options,
    directory,
    onRequest: entry => tell({ kind: 'request', ...entry }),
  }).catch(error => {
    throw portInUse(error, 'tcp', options.port, node.config.services)
  })
  try {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    tell({ kind: 'listening', address: service.address, port: service.port, directory: service.directory })
    node.events.add('info', 'files.started', `${service.directory} on port ${service.port}`)
    await new Promise<void>(resolve => {
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
    })
  } finally {
    service.close()
    node.events.add('info', 'files.ended', `${service.directory} on port ${service.port}`)
  }
}
