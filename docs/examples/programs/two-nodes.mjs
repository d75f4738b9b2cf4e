// Two nodes in this process, joined by a wire: no root, no device. One answers on UDP port 7, the other asks, over sockets
// of the shape of node:dgram; twenty in a hundred packets get lost on the way, so the asker tries again.
import { once } from 'node:events'
import { createSocket } from 'putnext/dgram'
import { checkNodeConfig, Node, Wires } from 'putnext/node'
import { Arena } from 'putnext/streams'

const wires = new Wires()
const arena = new Arena({ sizeBytes: 8 * 1024 * 1024 })
const start = (name, address, modules, services) =>
  Node.start(
    checkNodeConfig({
      version: 1,
      name,
      seed: 7,
      links: [{ name: 'w0', driver: 'wire', wire: 'between', addresses: [address], modules }],
      services,
    }),
    { wires, arena },
  )

const server = await start('server', '10.0.0.1/24', [{ impair: { loss: '20%' } }], { echo: true })
const client = await start('client', '10.0.0.2/24', [], {})

const socket = createSocket(client, 'udp4')
let tries = 0
const timer = setInterval(() => {
  if (++tries > 100) throw new Error('no answer in a second')
  socket.send('hello, stack', 7, '10.0.0.1')
}, 10)
const [data, from] = await once(socket, 'message')
clearInterval(timer)
console.log(`${data} (from ${from.address}:${from.port}, try ${tries})`)

socket.close()
await client.close()
await server.close()
console.log(`bytes copied inside the stack: ${arena.copies.stack.bytes}`)
