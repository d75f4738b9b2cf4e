/** POST /rpc: remote calls on the node's own stack, each result a line of JSON. */
import type { ControlContext } from './control.ts'
import { type RpcCallsRequest, rpcCalls } from './rpc-calls.ts'

export async function postRpc({ node, body, response, signal }: ControlContext): Promise<void> {
  // The head goes out with the first result, so that a server that is not found has a status of its own.
  await rpcCalls({ runtime: node.runtime }, body as RpcCallsRequest, signal, line => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`)
  })
}
