/** The services of a measurement on a stack of ours, where no kernel is at the other end: discard, echo, digest. */
import { type TcpConnection, TcpListener } from '../socket/tcp-endpoint.ts'
import { freemsg } from '../streams/mblk/alloc.ts'
import type { Mblk } from '../streams/mblk/mblk.ts'
import type { Runtime } from '../streams/runtime.ts'
import { Digest } from './copies-pattern.ts'
import { PORT_DIGEST, PORT_DISCARD, PORT_ECHO } from './tcp-ports.ts'

export function serveFar(runtime: Runtime): void {
  listen(runtime, PORT_DISCARD, connection => {
    connection.onReadable = () => each(connection, freemsg)
    connection.onEnd = () => connection.close()
  })
  listen(runtime, PORT_ECHO, connection => {
    // One byte at a time: there is always room for it.
    connection.onReadable = () =>
      each(connection, mp => {
        if (!connection.putmsg(mp)) freemsg(mp)
      })
    connection.onEnd = () => connection.close()
  })
  listen(runtime, PORT_DIGEST, connection => {
    const digest = new Digest()
    connection.onReadable = () =>
      each(connection, mp => {
        for (let bp: Mblk | null = mp; bp !== null; bp = bp.cont) digest.add(bp.bytes, bp.rptr, bp.wptr)
        freemsg(mp)
      })
    connection.onEnd = () => {
      connection.write(Buffer.from(digest.text()))
      connection.close()
    }
  })
}

/** @param take - consumes the message */
function each(connection: TcpConnection, take: (mp: Mblk) => void): void {
  for (let mp = connection.getmsg(); mp !== null; mp = connection.getmsg()) take(mp)
}

function listen(runtime: Runtime, port: number, serve: (connection: TcpConnection) => void): void {
  const listener = TcpListener.open(runtime, { port, settings: { noDelay: true } })
  listener.onConnection = () => {
    for (let connection = listener.accept(); connection !== null; connection = listener.accept()) {
      const one = connection
      one.onClosed = () => one.close()
      serve(one)
    }
  }
}
