// HTTP/2, WebSockets and undici on one stack: the packages as they are. All of it stays within this process, on the loopback of
// the node's own.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import { connect, createServer, createUndiciConnector, serve } from 'putnext/net'
import { checkNodeConfig, Node } from 'putnext/node'
import { Agent, request } from 'undici'
import { WebSocket, WebSocketServer } from 'ws'

const node = await Node.start(checkNodeConfig({ version: 1, name: 'n1' }))

/** Puts a server of Node's on the stack, and starts it. */
async function start(server, port) {
  serve(server, createServer(node)).listen(port)
  await once(server, 'listening')
  return server
}

const web = await start(
  http.createServer((_request, response) => response.end('from node:http')),
  80,
)
const agent = new Agent({ connect: createUndiciConnector(node) })
const { body } = await request('http://127.0.0.1/', { dispatcher: agent })
console.log('undici:', await body.text())

new WebSocketServer({ server: web }).on('connection', socket => {
  socket.on('message', data => socket.send(`${data}, ${data}`))
})
const socket = new WebSocket('ws://127.0.0.1/', { createConnection: () => connect(node, 80, '127.0.0.1') })
await once(socket, 'open')
socket.send('echo')
const [message] = await once(socket, 'message')
console.log('ws:', String(message))
socket.close()
await once(socket, 'close')

const two = await start(http2.createServer(), 8080)
two.on('stream', stream => {
  stream.respond({ ':status': 200 })
  stream.end('over one connection')
})
const session = http2.connect('http://127.0.0.1:8080', {
  createConnection: () => connect(node, 8080, '127.0.0.1'),
})
console.log('http2:', await text(session.request({ ':path': '/' })))
session.close()
await once(session, 'close')

await agent.close()
for (const server of [web, two]) await new Promise(resolve => server.close(resolve))
await node.close()
