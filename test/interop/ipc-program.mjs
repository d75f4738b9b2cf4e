// A program that has the sockets of a node through its port: a web server, and an echo.
// Usage: node ipc-program.mjs PATH plain|mapped. Says "ready" when it listens, "down" when the node is gone.

import { createHash } from 'node:crypto'
import http from 'node:http'
import { attach } from '../../dist/ipc/index.js'
import { createSocket } from '../../dist/socket/dgram.js'
import { createServer, serve } from '../../dist/socket/net.js'

const [path = '', how = 'plain'] = process.argv.slice(2)
const client = await attach(path, { mapped: how === 'mapped' })
client.onDown = error => {
  console.log(`down ${error.code}`)
  process.exit(0)
}

const body = Buffer.alloc(8 * 1024 * 1024, 'putnext ')
const web = http.createServer((request, response) => {
  if (request.method === 'PUT') {
    const hash = createHash('sha256')
    request.on('data', part => hash.update(part)).on('end', () => response.end(hash.digest('hex')))
  } else if (request.url === '/large') response.end(Buffer.alloc(64 * 1024 * 1024))
  else response.end(body)
})
serve(web, createServer(client))
web.listen(8080, '0.0.0.0')
const echo = createServer(client, socket => socket.on('error', () => {}).pipe(socket))
const datagrams = createSocket(client, 'udp4')
datagrams.on('message', (data, { port, address }) => datagrams.send(data, port, address))
// Asks whoever listens at a port of the kernel's, and says what became of it.
datagrams.on('error', () => {})
const asker = createSocket(client, 'udp4')
asker.on('error', error => console.log('code' in error ? `asked: ${error.code}` : error))
asker.on('message', data => console.log(`answered: ${data}`))
asker.connect(9009, '10.77.1.1', () => {
  process.on('SIGUSR2', () => asker.send('question'))
})
datagrams.bind(7007, '0.0.0.0')
datagrams.once('listening', () => echo.listen(7007, '0.0.0.0', () => console.log('ready')))
