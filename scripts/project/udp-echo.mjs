// A plain UDP program on the kernel's own sockets: sends datagrams to an echo service one after the other, checks that
// each comes back as it went, and prints what it saw as JSON. Usage: node udp-echo.mjs ADDRESS PORT COUNT

import { createSocket } from 'node:dgram'
import { once } from 'node:events'

const [address = '', port = '7', count = '100'] = process.argv.slice(2)
const TIMEOUT_MS = 1_000
const BYTES = 64

const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
socket.connect(Number(port), address)
await once(socket, 'connect')

/** @param {number} number @returns {Promise<number | null>} microseconds, null if nothing came back */
function roundTrip(number) {
  const sent = Buffer.alloc(BYTES, `datagram ${number} `)
  const start = process.hrtime.bigint()
  return new Promise(settle => {
    const timer = setTimeout(() => end(null), TIMEOUT_MS)
    /** @param {Buffer} back */
    const heard = back => {
      if (back.equals(sent)) end(Number(process.hrtime.bigint() - start) / 1_000)
    }
    /** @param {number | null} result */
    const end = result => {
      clearTimeout(timer)
      socket.off('message', heard).off('error', refused)
      settle(result)
    }
    const refused = () => end(null)
    socket.on('message', heard).on('error', refused)
    socket.send(sent)
  })
}

/** @type {number[]} */
const times = []
for (let number = 0; number < Number(count); number++) {
  const time = await roundTrip(number)
  if (time !== null) times.push(time)
}
socket.close()
times.sort((a, b) => a - b)
const p50 = times[Math.floor(times.length / 2)] ?? null
console.log(JSON.stringify({ sent: Number(count), received: times.length, p50us: p50 && Math.round(p50) }))
