// A web server of node:http on one node, its client on another, over a wire that loses one packet in fifty: no root, no device.
// Neither node:http nor the handlers know whose TCP it is.
import http from 'node:http'
import { buffer } from 'node:stream/consumers'
import { createAgent, createServer, serve } from 'putnext/net'
import { checkNodeConfig, Node, Wires } from 'putnext/node'
import { Arena } from 'putnext/streams'

const wires = new Wires()
const arena = new Arena({ sizeBytes: 16 * 1024 * 1024 })
const start = (name, address, modules) =>
  Node.start(
    checkNodeConfig({
      version: 1,
      name,
      seed: 7,
      links: [{ name: 'w0', driver: 'wire', wire: 'between', addresses: [address], modules }],
    }),
    { wires, arena },
  )

const server = await start('server', '10.0.0.1/24', [{ impair: { loss: '2%' } }])
const client = await start('client', '10.0.0.2/24', [])

const page = Buffer.alloc(2_000_000, 'all work and no play ')
const web = http.createServer((_request, response) => response.end(page))
serve(web, createServer(server)) // from here on `web` listens on the stack
await new Promise(resolve => web.listen(80, resolve))

const agent = createAgent(client)
const response = await new Promise((resolve, reject) => {
  http.get({ agent, host: '10.0.0.1', path: '/' }, resolve).on('error', reject)
})
const body = await buffer(response)
console.log(`${response.statusCode}: ${body.length} bytes, ${body.equals(page) ? 'the same' : 'others'}`)
console.log(`sent again: ${server.counters().tcp['retransmitted-segments'] > 0 ? 'yes' : 'no'}`)

await new Promise(resolve => web.close(resolve))
await client.close()
await server.close()
