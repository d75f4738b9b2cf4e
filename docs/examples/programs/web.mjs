// A web server of node:http on one node, its client on another, over a wire that loses one packet in twenty: no root, no device.
// Neither node:http nor the program's handler knows whose TCP it is.
import http from 'node:http'
import { text } from 'node:stream/consumers'
import { createAgent, createServer, serve } from 'putnext/net'
import { checkNodeConfig, Node, Wires } from 'putnext/node'
import { Arena } from 'putnext/streams'

const wires = new Wires()
const arena = new Arena({ sizeBytes: 16 * 1024 * 1024 })
const start = (name, address, modules = []) =>
  Node.start(
    checkNodeConfig({
      version: 1,
      name,
      links: [{ name: 'w0', driver: 'wire', wire: 'between', addresses: [address], modules }],
    }),
    { wires, arena },
  )

const server = await start('server', '10.0.0.1/24', [{ impair: { loss: '5%' } }])
const client = await start('client', '10.0.0.2/24')

const web = http.createServer((request, response) => {
  if (request.url === '/large') response.end('x'.repeat(1_000_000))
  else response.end(`hello, ${request.socket.remoteAddress}\n`)
})
serve(web, createServer(server)) // from here on `web` listens on the stack
await new Promise(resolve => web.listen(80, resolve))

const agent = createAgent(client, { keepAlive: true })
const get = path =>
  new Promise((resolve, reject) => {
    http.get({ agent, host: '10.0.0.1', path }, resolve).on('error', reject)
  })

const hello = await get('/')
console.log(hello.statusCode, (await text(hello)).trim())
const large = await get('/large')
console.log(large.statusCode, (await text(large)).length, 'bytes')

agent.destroy()
await new Promise(resolve => web.close(resolve))
await client.close()
await server.close()
console.log(`bytes copied inside the stack: ${arena.copies.stack.bytes}`)
