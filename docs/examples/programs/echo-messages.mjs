// An echo without copies: what comes in goes out again as the message that it is. The client sends its own memory, and is told
// when the other side has it.
import { connect, createServer } from 'putnext/net'
import { checkNodeConfig, Node } from 'putnext/node'
import { freemsg, messageBytes } from 'putnext/streams'

const node = await Node.start(checkNodeConfig({ version: 1, name: 'n1' }))

const server = createServer(node, socket => {
  let held = null
  const echo = () => {
    for (let mp = held ?? socket.getmsg(); mp !== null; mp = socket.getmsg()) {
      held = mp
      if (!socket.putmsg(mp)) return // no room: the message is still ours, and `drain` comes
      held = null
    }
  }
  socket.takeMessages(echo).on('drain', echo)
})
await new Promise(resolve => server.listen(7, '127.0.0.1', resolve))

const memory = Buffer.alloc(1_000_000, 'echo ')
const { copies } = node.runtime.arena
const client = connect(node, 7, '127.0.0.1')
await new Promise(resolve => client.once('connect', resolve))

let received = 0
const all = new Promise(resolve => {
  client.takeMessages(() => {
    for (let mp = client.getmsg(); mp !== null; mp = client.getmsg()) {
      received += messageBytes(mp)
      freemsg(mp)
    }
    if (received === memory.length) resolve()
  })
})
const released = new Promise(resolve => {
  if (!client.sendOwned(memory, resolve)) throw new Error('a connection that is new has room')
})
await all
await released
console.log(`${received} bytes echoed, ${copies.stack.bytes + copies.edge.bytes} copied`)

client.destroy()
server.close()
await node.close()
