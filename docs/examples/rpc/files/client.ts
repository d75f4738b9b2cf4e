/** Stores and fetches files. See --help. */
import { open, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { RpcClient, RpcError } from 'putnext/rpc'
import { XdrOpaque } from 'putnext/xdr'
import { copiedBytes, openStack, STACK_OPTIONS, STACK_USAGE, type Stack } from '../stack.ts'
import { FilesV1Client } from './generated/files-client.ts'
import { FileStatus } from './generated/files-types.ts'

const USAGE = `usage: client.js STACK [--port N] ADDRESS put FILE | get NAME FILE | rm NAME | ls
${STACK_USAGE}
  --port N            the server's (7200)
`

/** The bytes are lent to the call, not copied: nobody may change them before it ends. */
async function put(files: FilesV1Client, path: string): Promise<string> {
  const status = await files.store({ name: basename(path), contents: XdrOpaque.of(await readFile(path)) })
  return nameOf(status)
}

/** The view holds the blocks that the answer came in, until it is freed: its owner is who called. */
async function get(files: FilesV1Client, name: string, path: string): Promise<string> {
  const fetched = await files.fetch(name)
  if (fetched.status !== FileStatus.FILE_OK) return nameOf(fetched.status)
  using contents = fetched.contents
  await using file = await open(path, 'w')
  for (const chunk of contents.chunks()) await file.write(chunk)
  return `${nameOf(fetched.status)}, ${contents.length} bytes`
}

async function ask(stack: Stack, address: string, [command, name = '', path = name]: string[]) {
  await using client = await RpcClient.connect(stack, {
    address,
    port: Number(values.port),
    transport: 'tcp',
    lazy: true,
  })
  const files = new FilesV1Client(client)
  if (command === 'put') return await put(files, name)
  if (command === 'get') return await get(files, name, path)
  if (command === 'rm') return nameOf(await files.remove(name))
  const entries = await files.list()
  return entries.map(entry => `${entry.size} ${entry.name}`).join('\n')
}

function nameOf(status: FileStatus): string {
  return Object.entries(FileStatus).find(([, value]) => value === status)![0]
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...STACK_OPTIONS,
    port: { type: 'string', default: '7200' },
    help: { type: 'boolean', default: false },
  },
})
const [address, ...rest] = positionals
const isKnown = ['put', 'get', 'rm', 'ls'].includes(rest[0] ?? '')
const stack = address === undefined || !isKnown || values.help ? null : await openStack(values)
if (stack === null) {
  console.error(USAGE)
  process.exitCode = values.help ? 0 : 2
} else {
  try {
    console.log(await ask(stack, address!, rest))
    console.error(copiedBytes(stack))
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    console.error(`${error.outcome}: ${error.message}\n  ${error.hint}`)
    process.exitCode = 1
  }
  await stack.close()
}
