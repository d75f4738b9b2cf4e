/**
 * How a socket gets its connection: the name looked up, then one attempt, or several one after the other where both
 * families are at hand (`autoSelectFamily`), as Node 20 does.
 */
import {
  type BlockList,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  type LookupFunction,
  type TcpSocketConnectOpts,
} from 'node:net'
import type { StackError } from '../base/errors.ts'
import { argumentTypeError, coded, errnoNameOf, type SystemCallError } from './errors.ts'
import type { SocketHost } from './host.ts'
import { type FoundAddress, findAddresses } from './lookup.ts'
import { checkBoolean, checkFunction, checkInt32, checkPortRange } from './net-arguments.ts'
import { attemptsError, connectError, familyError, ipAddressError, netUsageError } from './net-errors.ts'
import { TcpConnection } from './tcp-endpoint.ts'

/** Of node:net in later versions: addresses that are not to be connected to. */
export interface ConnectOptions extends TcpSocketConnectOpts {
  readonly blockList?: BlockList | undefined
}

/** A socket as its attempts see it. */
export interface ConnectingSocket {
  isConnecting(): boolean
  emit(event: string, ...args: unknown[]): boolean
  destroy(error?: Error): unknown
  /** Something happened: the idle timer begins again. */
  touch(): void
  /** Several addresses will be tried: they are put on this list. */
  tries(list: string[]): void
  /** Takes the connection of the next attempt. @param family - of the address that was asked for */
  attempt(connection: TcpConnection, family: 4 | 6): void
  /** Gives up the attempt, if there is one. */
  giveUp(): void
  /** The attempt succeeded. */
  established(): void
}

interface Attempt {
  readonly address: string
  readonly family: 4 | 6
  readonly localAddress: string | undefined
}

/** Node's least, whatever is asked for. */
const ATTEMPT_MS_MIN = 10
const ANY = { 4: '0.0.0.0', 6: '::' } as const

const familyOf = (family: unknown): unknown => (family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family)

export class Connecting {
  private readonly socket: ConnectingSocket
  private readonly host: SocketHost
  private readonly options: ConnectOptions
  private readonly port: number
  private readonly selectFamily: boolean
  private readonly attemptMs: number
  /** Those that are tried one after the other; null if there is just one. */
  private list: readonly Attempt[] | null = null
  private next = 0
  private current: Attempt | null = null
  private readonly errors: Error[] = []
  private readonly tried: string[] = []
  private timer: NodeJS.Timeout | null = null

  /** @throws TypeError, RangeError with Node's codes for options that are wrong */
  constructor(socket: ConnectingSocket, host: SocketHost, options: ConnectOptions) {
    const { localAddress, localPort, port, autoSelectFamily, autoSelectFamilyAttemptTimeout } = options
    if (localAddress && !isIP(localAddress)) throw ipAddressError(localAddress)
    if (localPort && typeof localPort !== 'number')
      throw argumentTypeError('options.localPort', 'of type number', localPort)
    if (port !== undefined && typeof port !== 'number' && typeof port !== 'string')
      throw argumentTypeError('options.port', 'one of type number or string', port)
    this.socket = socket
    this.host = host
    this.options = options
    this.port = port === undefined ? 0 : checkPortRange(port)
    this.selectFamily =
      autoSelectFamily == null
        ? getDefaultAutoSelectFamily()
        : checkBoolean(autoSelectFamily, 'options.autoSelectFamily')
    this.attemptMs =
      autoSelectFamilyAttemptTimeout == null
        ? getDefaultAutoSelectFamilyAttemptTimeout()
        : Math.max(
            ATTEMPT_MS_MIN,
            checkInt32(autoSelectFamilyAttemptTimeout, 'options.autoSelectFamilyAttemptTimeout', 1),
          )
  }

  /** Begins, not within the call. @throws TypeError for a `lookup` that is no function */
  start(): void {
    const { socket, options } = this
    const { localAddress } = options
    const name = options.host || 'localhost'
    const version = isIP(name)
    if (version !== 0) {
      process.nextTick(() => {
        if (socket.isConnecting()) this.only(name, version as 4 | 6)
      })
      return
    }
    if (options.lookup != null) checkFunction(options.lookup, 'options.lookup')
    const lookup = options.lookup ?? this.host.lookup ?? (findAddresses as LookupFunction)
    const family = familyOf(options.family)
    const asked = { family, hints: options.hints || 0 } as Parameters<LookupFunction>[1]
    if (family === 4 || family === 6 || localAddress || !this.selectFamily)
      return lookup(name, asked, (error, found, version) =>
        this.foundOne(name, error, found as string, version),
      )
    asked.all = true
    return lookup(name, asked, (error, found) => this.foundAll(name, error, found as FoundAddress[]))
  }

  private foundOne(name: string, error: Error | null, address: string, family: number | undefined): void {
    const { socket, options } = this
    socket.emit('lookup', error, address, family, name)
    if (!socket.isConnecting()) return
    if (error) this.fail(error)
    else if (!isIP(address)) this.fail(ipAddressError(address))
    else if (family !== 4 && family !== 6) this.fail(familyError(family, options.host, options.port))
    else {
      socket.touch()
      this.only(address, family)
    }
  }

  private foundAll(name: string, error: Error | null, found: readonly FoundAddress[]): void {
    const { socket, options } = this
    if (!socket.isConnecting()) return
    if (error) {
      socket.emit('lookup', error, undefined, undefined, name)
      return this.fail(error)
    }
    for (const { address, family } of found) {
      socket.emit('lookup', error, address, family, name)
      if (!socket.isConnecting()) return
    }
    const list = inTurns(found)
    const [first] = list
    if (first === undefined) {
      const { address, family } = found[0]!
      return this.fail(
        isIP(address) ? familyError(family, options.host, options.port) : ipAddressError(address),
      )
    }
    socket.touch()
    if (list.length === 1) return this.only(first.address, first.family)
    const { localPort } = options
    this.list = list.map(one => ({ ...one, localAddress: localPort ? ANY[one.family] : undefined }))
    socket.tries(this.tried)
    this.tryNext()
  }

  /** Not within the call: a socket just made has no listeners yet. */
  private fail(error: Error): void {
    process.nextTick(() => this.socket.destroy(error))
  }

  // ---- one attempt

  private only(address: string, family: 4 | 6): void {
    const { localAddress, localPort } = this.options
    const bound = localAddress || localPort ? localAddress || ANY[family] : undefined
    const error = this.attempt({ address, family, localAddress: bound })
    if (error !== null) this.socket.destroy(error)
  }

  /** @returns what went wrong at once */
  private attempt(attempt: Attempt): Error | null {
    const { socket, port, options, list } = this
    const { address, family, localAddress } = attempt
    const { localPort, blockList } = options
    this.current = attempt
    if (blockList?.check(address, `ipv${family}`))
      return Object.assign(coded(Error, 'ERR_IP_BLOCKED', `IP(${address}) is blocked by net.BlockList`), {
        address,
      })
    let connection: TcpConnection | null = null
    let refusal: unknown = null
    try {
      if (localAddress && isIP(localAddress) !== family) return this.bindError('EINVAL', localAddress)
      connection = TcpConnection.connect(this.host.runtime, {
        address,
        port,
        ...(localAddress === undefined ? {} : { localAddress }),
        ...(localPort ? { localPort } : {}),
      })
    } catch (error) {
      refusal = error
    }
    const code = errnoNameOf(refusal)
    if (refusal !== null && localAddress && code.startsWith('EADDR'))
      return this.bindError(code, localAddress, refusal)
    if (connection !== null) socket.attempt(connection, family)
    socket.emit('connectionAttempt', address, port, family)
    if (list !== null) this.tried.push(`${address}:${port}`)
    if (refusal === null) return null
    return connectError(code, 'connect', address, port, `${ANY[family]}:0`, refusal)
  }

  private bindError(code: string, localAddress: string, cause?: unknown): Error {
    return connectError(code, 'bind', localAddress, this.options.localPort ?? 0, undefined, cause)
  }

  /** The attempt ended. @param error - null if it succeeded */
  settled(error: StackError | null): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const { socket, current, port } = this
    if (error === null) return socket.established()
    const told = this.errorOf(errnoNameOf(error), error)
    this.errors.push(told)
    socket.emit('connectionAttemptFailed', current!.address, port, current!.family, told)
    if (this.list === null) socket.destroy(told)
    else if (socket.isConnecting()) this.tryNext()
  }

  private errorOf(code: string, cause?: unknown): SystemCallError {
    const { port, options } = this
    const { address, localAddress } = this.current!
    const { localPort } = options
    const isTold = localAddress && localPort
    const local = isTold ? `${localAddress}:${localPort}` : undefined
    const error = connectError(code, 'connect', address, port, local, cause)
    return isTold ? Object.assign(error, { localAddress, localPort }) : error
  }

  // ---- several

  private tryNext(): void {
    const { socket, errors, port } = this
    const list = this.list!
    while (socket.isConnecting()) {
      if (this.next === list.length) {
        socket.destroy(
          errors.length === 0 ? netUsageError('ERR_SOCKET_CONNECTION_TIMEOUT') : attemptsError(errors),
        )
        return
      }
      const attempt = list[this.next++]!
      socket.giveUp()
      const error = this.attempt(attempt)
      if (error === null) {
        if (this.next < list.length) this.timer = setTimeout(() => this.timedOut(), this.attemptMs)
        return
      }
      errors.push(error)
      if ((error as SystemCallError).syscall === 'connect')
        socket.emit('connectionAttemptFailed', attempt.address, port, attempt.family, error)
    }
  }

  private timedOut(): void {
    const { socket, current, port } = this
    this.timer = null
    socket.emit('connectionAttemptTimeout', current!.address, port, current!.family)
    this.errors.push(this.errorOf('ETIMEDOUT'))
    socket.giveUp()
    if (socket.isConnecting()) this.tryNext()
  }

  /** The socket is destroyed. */
  cancel(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}

/** The usable addresses, each once, the families in turns, beginning with that of the first. */
function inTurns(found: readonly FoundAddress[]): { address: string; family: 4 | 6 }[] {
  const usable = found.filter(({ address, family }) => isIP(address) && (family === 4 || family === 6))
  const unique = usable.filter(
    (one, i) => usable.findIndex(other => other.address === one.address && other.family === one.family) === i,
  ) as { address: string; family: 4 | 6 }[]
  const first = unique[0]?.family
  const lists = [unique.filter(one => one.family === first), unique.filter(one => one.family !== first)]
  const longest = Math.max(...lists.map(list => list.length))
  return Array.from({ length: longest }, (_, i) => lists.flatMap(list => list[i] ?? [])).flat()
}
