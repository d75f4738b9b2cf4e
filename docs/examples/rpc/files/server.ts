/** The file store's server: files in memory, where the packets that brought them were received. See --help. */
import { parseArgs } from 'node:util'
import { RpcServer } from 'putnext/rpc'
import { XdrOpaque } from 'putnext/xdr'
import { atEnd, copiedBytes, openStack, STACK_OPTIONS, STACK_USAGE, type Stack } from '../stack.ts'
import { type FilesV1Service, filesV1Service } from './generated/files-server.ts'
import { type Entry, type Fetched, type File, FileStatus } from './generated/files-types.ts'

const USAGE = `usage: server.js STACK [--port N]
${STACK_USAGE}
  --port N            where calls are taken, by TCP and UDP (7200)
`

/** What the store holds lies in the stack's arena, which others need too. */
const STORE_BYTES = 8 * 1024 * 1024
const STORE_FILES = 1_024
/** A view of a few bytes would hold a whole block. */
const SMALL_BYTES = 4_096

class Store implements FilesV1Service {
  readonly #files = new Map<string, XdrOpaque>()
  #bytes = 0

  store({ name, contents }: File): FileStatus {
    if (name === '' || name.includes('/')) return FileStatus.FILE_BAD_NAME
    const old = this.#files.get(name)
    const bytes = this.#bytes - (old?.length ?? 0) + contents.length
    if (bytes > STORE_BYTES) return FileStatus.FILE_STORE_FULL
    if (old === undefined && this.#files.size >= STORE_FILES) return FileStatus.FILE_STORE_FULL
    // The view in the argument goes with the call; dup() is one of our own, of the same blocks.
    this.#files.set(name, contents.length < SMALL_BYTES ? XdrOpaque.of(contents.toBytes()) : contents.dup())
    this.#bytes = bytes
    old?.free()
    return FileStatus.FILE_OK
  }

  /** The answer shares the blocks; the store keeps its view. */
  fetch(name: string): Fetched {
    const contents = this.#files.get(name)
    return contents === undefined
      ? { status: FileStatus.FILE_NOT_FOUND }
      : { status: FileStatus.FILE_OK, contents }
  }

  remove(name: string): FileStatus {
    const contents = this.#files.get(name)
    if (contents === undefined) return FileStatus.FILE_NOT_FOUND
    this.#files.delete(name)
    this.#bytes -= contents.length
    contents.free()
    return FileStatus.FILE_OK
  }

  list(): Entry[] {
    return [...this.#files].map(([name, { length }]) => ({ name, size: length }))
  }

  close(): void {
    for (const contents of this.#files.values()) contents.free()
    this.#files.clear()
  }
}

async function serve(stack: Stack, port: number): Promise<void> {
  const store = new Store()
  const server = new RpcServer(stack, { onError: (error, where) => console.error(where, error) })
  server.add(filesV1Service(store))
  await server.listen({ port })
  console.log(`files: ready at port ${port}`)
  atEnd(async () => {
    await server.close({ graceMs: 1_000 })
    store.close()
    console.log(copiedBytes(stack))
    await stack.close()
  })
}

const { values } = parseArgs({
  options: {
    ...STACK_OPTIONS,
    port: { type: 'string', default: '7200' },
    help: { type: 'boolean', default: false },
  },
})
const stack = values.help ? null : await openStack(values)
if (stack === null) {
  console.error(USAGE)
  process.exitCode = values.help ? 0 : 2
} else await serve(stack, Number(values.port))
