/** Commands that open, name and close sockets, after the system calls of the same names. */
import type { ScriptArguments } from './arguments.ts'
import { SOCKETS_MAX, Waiting } from './call.ts'
import type { Command } from './commands.ts'
import { checkBind, checkName, choosePort } from './names.ts'
import { ScriptSocket } from './script-socket.ts'
import type { Session } from './session.ts'

export const FD_MAX = SOCKETS_MAX + 2
const PORT_MAX = 0xffff

/** `fd`, which every command about a socket has. */
export const readFd = (args: ScriptArguments): number => args.integer('fd', -1, FD_MAX)

/** Whether this one call waits, where the socket does not say so itself. */
export const readWaits = (args: ScriptArguments): boolean | null =>
  args.has('nonblock') ? !args.flag('nonblock') : null

/** A name that may be left out: any address, any port. */
function readName(args: ScriptArguments): { address: string | null; port: number } {
  return {
    address: args.has('address') ? args.string('address') : null,
    port: args.integer('port', 0, PORT_MAX, 0),
  }
}

const anyAddress = (family: 4 | 6): string => (family === 4 ? '0.0.0.0' : '::')

const socket: Command = args => {
  const domain = args.choice('domain', ['inet', 'inet6'], 'inet')
  args.choice('type', ['stream'], 'stream')
  const nonblock = args.flag('nonblock')
  return session => {
    const made = new ScriptSocket(session.stack.runtime, domain === 'inet' ? 4 : 6, nonblock)
    return { value: session.add(made) }
  }
}

const bind: Command = args => {
  const fd = readFd(args)
  const { address, port } = readName(args)
  return session => {
    const found = session.find(fd)
    const name = checkName(found, address ?? anyAddress(found.family))
    checkBind(session, found, name, port)
    return found.bind(name, port === 0 ? choosePort(session, found, name) : port)
  }
}

const listen: Command = args => {
  const fd = readFd(args)
  const backlog = args.integer('backlog', -1, 0x7fff_ffff, 128)
  return session => session.find(fd).listen(backlog)
}

const accept: Command = args => {
  const fd = readFd(args)
  const waits = readWaits(args)
  const nonblock = args.flag('acceptNonblock')
  return session => {
    const from = session.find(fd)
    const attempt = from.accept(connection => {
      const made = ScriptSocket.accepted(session.stack.runtime, from, connection, nonblock)
      const { address, port } = connection.remote
      return { value: session.add(made), address, port }
    })
    return new Waiting(attempt, { mayWait: waits ?? !from.nonblock, timeoutUs: from.receiveTimeoutUs, fd })
  }
}

const connect: Command = args => {
  const fd = readFd(args)
  const address = args.string('address')
  const port = args.integer('port', 0, PORT_MAX)
  const waits = readWaits(args)
  return session => {
    const found = session.find(fd)
    const mayWait = waits ?? !found.nonblock
    const attempt = found.connect(checkName(found, address), port, mayWait)
    return new Waiting(attempt, {
      mayWait: true,
      timeoutUs: found.sendTimeoutUs,
      onTimeout: 'EINPROGRESS',
      fd,
    })
  }
}

const close: Command = args => {
  const fd = readFd(args)
  return session => {
    const gone = session.remove(fd)
    const lingerUs = (gone.lingerMs ?? 0) * 1_000
    return new Waiting(gone.close(), {
      // As on Linux, O_NONBLOCK does not matter here.
      mayWait: lingerUs > 0,
      timeoutUs: lingerUs,
      onTimeout: () => {
        gone.drop()
        return { value: 0 }
      },
    })
  }
}

const shutdown: Command = args => {
  const fd = readFd(args)
  const how = args.choice('how', ['rd', 'wr', 'rdwr'])
  return session => session.find(fd).shutdown(how)
}

const getsockname: Command = args => {
  const fd = readFd(args)
  return session => ({ value: 0, ...session.find(fd).localName() })
}

const getpeername: Command = args => {
  const fd = readFd(args)
  return session => ({ value: 0, ...session.find(fd).remoteName() })
}

/** O_NONBLOCK, on or off. */
const fcntl: Command = args => {
  const fd = readFd(args)
  const nonblock = args.has('nonblock') ? args.flag('nonblock') : null
  return session => {
    const found = session.find(fd)
    if (nonblock !== null) found.nonblock = nonblock
    return { value: 0, nonblock: found.nonblock }
  }
}

/** Which descriptors are open, for people. */
const sockets: Command = () => (session: Session) => ({
  value: [...session.sockets.entries()]
    .sort(([a], [b]) => a - b)
    .map(([fd, one]) => ({ fd, ...one.describe() })),
})

export const SOCKET_COMMANDS: Readonly<Record<string, Command>> = {
  socket,
  bind,
  listen,
  accept,
  connect,
  shutdown,
  close,
  getsockname,
  getpeername,
  fcntl,
  sockets,
}
