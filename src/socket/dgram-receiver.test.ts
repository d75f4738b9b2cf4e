import { describe, expect, it } from 'vitest'
import { ERROR_HOP_LIMIT, ERROR_HOST_UNREACHABLE, ERROR_PORT_UNREACHABLE } from '../inet/icmp/errors.ts'
import { errorIndication, HERE, makeUdpTest, PEER, request } from '../inet/udp/testing/udp-test.ts'
import { FLAGS, UD_REFUSED_HERE } from '../inet/unitdata.ts'
import { DgramReceiver } from './dgram-receiver.ts'

describe('socket/dgram-receiver', () => {
  it('RFC 1122 §4.2.3.9: of ICMP errors only hard ones are errors of the socket, as on Linux', () => {
    const t = makeUdpTest()
    const stream = t.open({ family: 4, bind: { port: 4_000 }, connect: { address: '10.0.0.1', port: 7 } })
    const errors: unknown[] = []
    const data: string[] = []
    const receiver = new DgramReceiver(stream, 4, {
      onData: (bytes, { address, port }) => data.push(`${bytes} ${address} ${port}`),
      onError: error => errors.push(error),
    })
    receiver.start()
    for (const code of [ERROR_HOST_UNREACHABLE, ERROR_HOP_LIMIT, ERROR_PORT_UNREACHABLE])
      t.ip.up(errorIndication(t, code, PEER, 7, HERE, 4_000))
    t.receive({ fromPort: 7, port: 4_000, data: 'still here' })
    t.settle()
    expect(errors).toEqual([
      expect.objectContaining({ code: 'ECONNREFUSED', errno: -111, syscall: 'recvmsg' }),
    ])
    expect(data).toEqual(['still here 10.0.0.1 7'])
    t.finish()
  })

  it('what the stack refuses of a send long done is no error of the socket', () => {
    const t = makeUdpTest()
    const stream = t.open({ family: 4, bind: { port: 4_000 } })
    const errors: unknown[] = []
    const receiver = new DgramReceiver(stream, 4, { onData: () => {}, onError: error => errors.push(error) })
    receiver.start()
    const late = errorIndication(t, ERROR_PORT_UNREACHABLE, PEER, 7, HERE, 4_000)
    t.arena.words[(late.rptr >> 2) + FLAGS] = UD_REFUSED_HERE
    t.ip.up(late)
    stream.putmsg(request(t, PEER, 0, 'to port 0'))
    t.settle()
    expect(errors).toEqual([])
    t.finish()
  })
})
