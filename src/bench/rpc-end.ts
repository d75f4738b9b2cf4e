/**
 * One end of `bench rpc` in a process of its own: it serves, and calls when it is told to. Started by `rpc-arms.ts` with its
 * description as the only argument.
 */
import { kernelHost } from '../kernel/host.ts'
import { RpcClient } from '../rpc/client.ts'
import { RpcServer } from '../rpc/server.ts'
import type { SocketHost } from '../socket/host.ts'
import { type EndStackOptions, openEndStack } from './end-stack.ts'
import { callFrames, serveFrames } from './rpc-frames.ts'
import { callGrpc, serveGrpc } from './rpc-grpc.ts'
import { flight, localTurns, type OneCall, turns } from './rpc-loads.ts'
import {
  BLOB_BYTES,
  BLOB_CALL,
  benchService,
  NULL_CALL,
  PORT_FRAMES,
  PORT_GRPC,
  PORT_RPC,
} from './rpc-program.ts'

/** - `stack`: ours on a stack of ours; `kernel`: ours on the kernel's sockets; `frames`: an echo over node:net. */
export type RpcEndKind = 'stack' | 'kernel' | 'grpc' | 'frames' | 'local'

export interface RpcEndOptions {
  readonly kind: RpcEndKind
  readonly isServer: boolean
  /** Where it listens. */
  readonly address: string
  /** For a stack. */
  readonly stack?: EndStackOptions
}

export type RpcEndQuestion =
  | {
      readonly ask: 'turns' | 'flight' | 'blobs'
      /** Of the server. */
      readonly address: string
      readonly inFlight: number
      readonly seconds: number
      readonly warmupSeconds: number
    }
  | { readonly ask: 'copies' }

/** Bytes that were copied in user space, by place. */
export interface RpcEndCopies {
  readonly stack: number
  readonly edge: number
}

type What = 'null' | 'blob'

interface End {
  serve(): Promise<void>
  calls(address: string, what: What): Promise<{ call: OneCall; end(): void }>
  copies(): RpcEndCopies
}

/** The runtime of this project, on whatever stack. */
class OwnEnd implements End {
  private readonly host: SocketHost

  constructor(host: SocketHost) {
    this.host = host
  }

  async serve(): Promise<void> {
    const server = new RpcServer(this.host)
    server.add(benchService())
    await server.listen({ port: PORT_RPC, transports: ['tcp'] })
  }

  async calls(address: string, what: What): Promise<{ call: OneCall; end(): void }> {
    const client = await RpcClient.connect(this.host, { transport: 'tcp', address, port: PORT_RPC })
    const nothing: OneCall = () => client.call(NULL_CALL, undefined)
    const blob: OneCall = async () => {
      const view = await client.call(BLOB_CALL, BLOB_BYTES)
      const { length } = view
      view.free()
      return length
    }
    return { call: what === 'blob' ? blob : nothing, end: () => client.close() }
  }

  copies(): RpcEndCopies {
    const { stack, edge } = this.host.runtime.arena.copies
    return { stack: stack.bytes, edge: edge.bytes }
  }
}

const NO_COPIES: RpcEndCopies = { stack: 0, edge: 0 }

function openEnd({ kind, address, stack }: RpcEndOptions): End {
  switch (kind) {
    case 'stack':
      return new OwnEnd({ runtime: openEndStack(stack!) })
    case 'kernel':
      return new OwnEnd(kernelHost())
    case 'grpc':
      return {
        serve: () => serveGrpc(address, PORT_GRPC),
        calls: (to, what) => callGrpc(to, PORT_GRPC, what),
        copies: () => NO_COPIES,
      }
    case 'frames':
      return {
        serve: () => serveFrames(address, PORT_FRAMES),
        calls: to => callFrames(to, PORT_FRAMES),
        copies: () => NO_COPIES,
      }
    case 'local':
      return {
        serve: async () => {},
        calls: async () => ({ call: async () => {}, end: () => {} }),
        copies: () => NO_COPIES,
      }
  }
}

const options = JSON.parse(process.argv[2]!) as RpcEndOptions
const end = openEnd(options)

async function answer(question: RpcEndQuestion): Promise<unknown> {
  if (question.ask === 'copies') return end.copies()
  if (options.kind === 'local') return localTurns(question)
  const { call, end: close } = await end.calls(question.address, question.ask === 'blobs' ? 'blob' : 'null')
  try {
    if (question.ask === 'turns') return await turns(call, question)
    return await flight(call, question.inFlight, question)
  } finally {
    close()
  }
}

if (options.isServer) await end.serve()
process.on('message', (question: RpcEndQuestion) => {
  answer(question).then(
    value => process.send!({ value }),
    (error: unknown) => process.send!({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send!({ value: 'ready' })
