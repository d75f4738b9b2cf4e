/** `putnext serve`: the files of a directory over HTTP, from a node's own stack. */
import { resolve } from 'node:path'
import type { RequestEntry } from '../node/files/file-server.ts'
import { sizeText } from '../node/files/listing.ts'
import type { CommandRun } from './command.ts'
import { EXIT_DONE } from './exit-codes.ts'
import { nodeClient } from './node-target.ts'

const HTTP_PORT = 80

export const serve: CommandRun = async invocation => {
  const { args, out, signal } = invocation
  const client = nodeClient(invocation)
  const address = args.string('address')
  const options = {
    directory: resolve(args.required('DIR')),
    port: args.number('port') ?? HTTP_PORT,
    ...(address === undefined ? {} : { address }),
    listings: !args.flag('no-listing'),
    hidden: args.flag('hidden'),
    symlinks: (args.string('symlinks') ?? 'inside') as 'none' | 'inside' | 'all',
  }
  const { links } = await client.status()
  const own = address === undefined ? links.flatMap(({ addresses }) => addresses) : [address]
  try {
    for await (const line of client.serve(options, signal)) {
      if (line.kind === 'request') out.record(line, requestText(line))
      else {
        const urls = own.map(each => urlOf(each.split('/')[0]!, line.port))
        if (out.json) out.record({ ...line, urls }, '')
        else
          out.note(
            `${line.directory} is served at ${urls.join(' and ') || `port ${line.port}`}; Ctrl-C ends it`,
          )
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  return EXIT_DONE
}

function urlOf(address: string, port: number): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `http://${host}${port === HTTP_PORT ? '' : `:${port}`}/`
}

/** One request as a line. */
export function requestText({
  remote,
  method,
  target,
  status,
  bytes,
  milliseconds,
  complete,
}: RequestEntry): string {
  const broken = complete ? '' : ' (broken off)'
  return `${remote} ${method} ${target} ${status} ${sizeText(bytes)} ${milliseconds.toFixed(1)} ms${broken}`
}
