/** The same calls by `@grpc/grpc-js`, which is there only in a clone: plain bytes, no Protocol Buffers. */
import { StackError } from '../base/errors.ts'
import type { OneCall } from './rpc-loads.ts'
import { BLOB_BYTES } from './rpc-program.ts'

const same = (bytes: Buffer): Buffer => bytes
const method = (name: string) => ({
  path: `/bench.Bench/${name}`,
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
})
const METHODS = { Nothing: method('Nothing'), Blob: method('Blob') }
const NOTHING = Buffer.alloc(0)

/** Whether the package is installed. */
export async function hasGrpc(): Promise<boolean> {
  return import('@grpc/grpc-js').then(
    () => true,
    () => false,
  )
}

export async function serveGrpc(address: string, port: number): Promise<void> {
  const { Server, ServerCredentials } = await import('@grpc/grpc-js')
  const blob = Buffer.alloc(BLOB_BYTES, 'x')
  const server = new Server()
  type Answer = (error: null, value: Buffer) => void
  server.addService(METHODS, {
    Nothing: (_call: unknown, answer: Answer) => answer(null, NOTHING),
    Blob: (_call: unknown, answer: Answer) => answer(null, blob),
  })
  const { promise, resolve, reject } = withResolvers()
  server.bindAsync(`${address}:${port}`, ServerCredentials.createInsecure(), error =>
    error === null ? resolve() : reject(error),
  )
  await promise
}

/** @param what - null calls or blobs */
export async function callGrpc(
  address: string,
  port: number,
  what: 'null' | 'blob',
): Promise<{ call: OneCall; end(): void }> {
  const { credentials, makeGenericClientConstructor } = await import('@grpc/grpc-js')
  const Client = makeGenericClientConstructor(METHODS, 'Bench')
  const client = new Client(`${address}:${port}`, credentials.createInsecure())
  const name = what === 'null' ? 'Nothing' : 'Blob'
  type Unary = (argument: Buffer, done: (error: Error | null, value?: Buffer) => void) => void
  const unary = (client[name] as unknown as Unary).bind(client)
  const call = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      unary(NOTHING, (error, value) => {
        if (error !== null) reject(new StackError('ERR_HOST', `grpc: ${error.message}`, { cause: error }))
        else resolve(what === 'blob' ? value!.length : undefined)
      })
    })
  return { call, end: () => client.close() }
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
