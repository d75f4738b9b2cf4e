/** Programs of plain node:net and node:dgram, for the other end. */
import dgram from 'node:dgram'
import net from 'node:net'

export class Plain {
  private readonly servers: net.Server[] = []
  private readonly sockets: net.Socket[] = []
  private readonly datagrams: dgram.Socket[] = []

  /** @returns the port */
  async listen(host: string, serve: (socket: net.Socket) => void): Promise<number> {
    const server = net.createServer({ allowHalfOpen: true }, socket => {
      this.sockets.push(socket)
      socket.on('error', () => {})
      serve(socket)
    })
    this.servers.push(server)
    await new Promise<void>(resolve => server.listen(0, host, resolve))
    return (server.address() as net.AddressInfo).port
  }

  async connect(host: string, port: number): Promise<net.Socket> {
    const socket = net.connect({ host, port, allowHalfOpen: true })
    this.sockets.push(socket)
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    socket.on('error', () => {})
    return socket
  }

  async datagram(type: 'udp4' | 'udp6', host: string): Promise<dgram.Socket> {
    const socket = dgram.createSocket(type)
    this.datagrams.push(socket)
    await new Promise<void>(resolve => socket.bind(0, host, resolve))
    return socket
  }

  close(): void {
    for (const socket of this.sockets.splice(0)) socket.destroy()
    for (const server of this.servers.splice(0)) server.close()
    for (const socket of this.datagrams.splice(0)) socket.close()
  }
}
