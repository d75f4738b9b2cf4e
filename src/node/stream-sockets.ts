/** TCP of a node as other parts use it: sockets in the shape of node:net, with errors in the stack's own words. */
import { isIP } from 'node:net'
import { ERROR_CODES, StackError } from '../base/errors.ts'
import { connect, createServer, type Socket } from '../socket/net.ts'
import type { Runtime } from '../streams/runtime.ts'
import { asStackError } from './bridged-stream.ts'
import type { ListenOptions, StreamListener, StreamOptions } from './network.ts'

/** Bytes that a socket buffers each way: what it copies at once. */
const HIGH_WATER_BYTES = 256 * 1024

function checkAddress(address: string | undefined): void {
  if (address !== undefined && isIP(address) === 0)
    throw new StackError('ERR_BAD_ADDRESS', `${JSON.stringify(address)} is no IP address`)
}

/** @throws StackError see `Network.openStream` */
export function openStreamSocket(
  runtime: Runtime,
  options: StreamOptions,
  signal?: AbortSignal,
): Promise<Socket> {
  const { address, port, localAddress, localPort } = options
  checkAddress(address)
  checkAddress(localAddress)
  return new Promise((resolve, reject) => {
    const socket = connect(
      { runtime },
      {
        host: address,
        port,
        allowHalfOpen: true,
        highWaterMark: HIGH_WATER_BYTES,
        ...(localAddress === undefined ? {} : { localAddress }),
        ...(localPort === undefined || localPort === 0 ? {} : { localPort }),
      },
    )
    const giveUp = (): void => {
      socket.destroy(new StackError('ERR_TIMED_OUT', `connecting to ${address} port ${port} was given up`))
    }
    const settle = (act: () => void): void => {
      signal?.removeEventListener('abort', giveUp)
      socket.off('error', failed)
      act()
    }
    const failed = (error: Error): void => settle(() => reject(told(error, address, port)))
    socket.on('error', failed)
    socket.on('connect', () => settle(() => resolve(socket)))
    signal?.addEventListener('abort', giveUp, { once: true })
    if (signal?.aborted === true) giveUp()
  })
}

function told(error: Error, address: string, port: number): StackError {
  const found = asStackError(error, ERROR_CODES)
  if (found.code !== 'ERR_CONN_REFUSED') return found
  return new StackError('ERR_CONN_REFUSED', `nobody listens on ${address} port ${port}`, { cause: error })
}

function refused(cause: Error, port: number, address: string | undefined): StackError {
  const { code, message } = asStackError(cause, ERROR_CODES)
  if (code === 'ERR_ADDR_IN_USE') {
    const hint = 'choose another port; "putnext plumb NODE --all" shows who listens'
    return new StackError(code, `TCP port ${port} is in use on this node`, { cause, hint })
  }
  if (code !== 'ERR_ADDR_NOT_AVAILABLE') return new StackError(code, message, { cause })
  const hint = '"putnext plumb NODE" shows its addresses; without one it listens on all of them'
  return new StackError(code, `${address} is no address of this node`, { cause, hint })
}

/** @throws StackError see `Network.listenStreams` */
export function listenForStreams(
  runtime: Runtime,
  { port, address }: ListenOptions,
  onClosed: () => void,
): Promise<StreamListener> {
  checkAddress(address)
  return new Promise((resolve, reject) => {
    const server = createServer({ runtime }, { allowHalfOpen: true, highWaterMark: HIGH_WATER_BYTES })
    const failed = (error: Error): void => reject(refused(error, port, address))
    server.once('error', failed)
    server.listen({ port, ...(address === undefined ? {} : { host: address }) }, () => {
      server.off('error', failed)
      const own = server.address()!
      const listener: StreamListener = {
        address: own.address,
        port: own.port,
        onConnection: null,
        close: () => {
          server.close()
          onClosed()
        },
      }
      server.on('connection', (socket: Socket) => {
        if (listener.onConnection === null) socket.resetAndDestroy()
        else listener.onConnection(socket)
      })
      resolve(listener)
    })
  })
}
