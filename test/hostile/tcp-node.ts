import { assert } from '../../src/base/assert.ts'
import { StackError } from '../../src/base/errors.ts'
import { Prng, type Random } from '../../src/base/prng.ts'
import { ManualClock, microseconds, seconds } from '../../src/base/time.ts'
import { InetStack } from '../../src/inet/stack.ts'
import { TcpControl } from '../../src/inet/tcp/module.ts'
import type { Tcp } from '../../src/inet/tcp/tcp.ts'
import { TcpConnection, TcpListener } from '../../src/socket/tcp-endpoint.ts'
import { freemsg } from '../../src/streams/mblk/alloc.ts'
import { Arena } from '../../src/streams/mblk/arena.ts'
import type { Mblk } from '../../src/streams/mblk/mblk.ts'
import { messageBytes } from '../../src/streams/mblk/message.ts'
import { readMessage } from '../../src/streams/mblk/pullup.ts'
import { Runtime, type StackEvent } from '../../src/streams/runtime.ts'
import { Stream } from '../../src/streams/stream.ts'
import { type HostileLink, makeHostileLink } from './link.ts'
import { FIRST_HOST, TcpAttack } from './tcp-attack.ts'
import { HonestHost } from './tcp-honest.ts'
import { AttackedProgram } from './tcp-programs.ts'

const MIB = 1024 * 1024
export const ECHO_PORT = 7
const HONEST_ADDRESS = '10.77.1.1'
/** Accepts and never reads. */
export const DEAF_PORT = 8
/** Says much and ends. */
const CHARGEN_PORT = 19
/** Ends at once, without reading. */
const RUDE_PORT = 21
const CLOSED_PORT = 4_999
const PORTS = [ECHO_PORT, ECHO_PORT, ECHO_PORT, DEAF_PORT, CHARGEN_PORT, CHARGEN_PORT, RUDE_PORT, CLOSED_PORT]

/** Between packets, a flood of a million a second; one jump in so many lets timers run out. */
const STEP_US = 1
const JUMP_EVERY = 4_096
/** One packet in so many has the node open a connection to the attacker. */
const DIAL_EVERY = 2_048
/** Programs give up what they hold, at random, so that states behind a close are reached. */
const CLOSE_EVERY = 64
const HELD_MAX = 4_096
const EVENTS_MAX = 100
const MESSAGE_BYTES_MAX = 66_560
/** Of an honest connection, in virtual time. */
const PATIENCE_US = 60_000_000

export interface HostileTcpOptions {
  readonly seed: number
  readonly arenaBytes?: number
  readonly poison?: boolean
}

/** A whole node whose link an attacker holds, and an honest host behind the same link. */
export class HostileTcpNode {
  readonly arena: Arena
  readonly runtime: Runtime
  readonly stack: InetStack
  readonly link: HostileLink
  readonly attack: TcpAttack
  readonly honest: HonestHost
  readonly errors: StackEvent[] = []
  readonly clock = new ManualClock()
  /** Gets what the node sends to the attacker in the place of {@link attack}. */
  onHeard: ((packet: Uint8Array) => void) | null = null
  injected = 0
  accepted = 0
  dialled = 0
  noBlocks = 0
  /** Most connections, bytes of memory and blocks that were seen. */
  readonly most = { connections: 0, memoryBytes: 0, blocks: 0 }
  private readonly random: Random
  private readonly held: AttackedProgram[] = []
  private readonly tcp: Tcp
  private readonly restingBlocks: number
  private measuring = false

  constructor({ seed, arenaBytes = 64 * MIB, poison = false }: HostileTcpOptions) {
    this.arena = new Arena({ sizeBytes: arenaBytes, poison })
    this.arena.bytes.fill(0)
    this.random = new Prng(seed)
    this.attack = new TcpAttack(new Prng(seed ^ 0x5bd1e995), PORTS)
    this.honest = new HonestHost(seed + 2, this.clock, mp => this.fromHonest(mp))
    this.link = makeHostileLink({ onSent: mp => this.sent(mp) })
    this.runtime = new Runtime({
      arena: this.arena,
      clock: this.clock,
      random: new Prng(seed + 1),
      onEvent: event => {
        if (event.level === 'error' && this.errors.length < EVENTS_MAX) this.errors.push(event)
      },
    })
    // Bounds that a soak reaches.
    const tcp = {
      memoryBytes: Math.trunc(arenaBytes / 2),
      synBacklog: 512,
      timeWaitMax: 2_048,
      connectionsMax: 8_192,
    }
    this.stack = new InetStack(this.runtime, { tcp })
    const wire = Stream.open(this.runtime, this.link.driver, { name: 'hostile' })
    this.stack.attachLink(wire, { name: 'tun0', addresses: ['10.77.1.2/24', 'fd77:1::2/64'] })
    const control = [...this.runtime.streams].find(({ bottom }) => bottom.state instanceof TcpControl)
    this.tcp = (control!.bottom.state as TcpControl).transport.tcp
    this.serve(ECHO_PORT, program => void program.echo())
    this.serve(DEAF_PORT, () => {})
    this.serve(CHARGEN_PORT, program => void program.chargen())
    this.serve(RUDE_PORT, program => program.close())
    this.settle()
    this.restingBlocks = this.arena.state().blocksInUse
  }

  /** Injects packets that the attacker makes, and lets the node work. */
  flood(count: number): void {
    for (let i = 0; i < count; i++) {
      this.attack.honestPorts = this.honest.ports
      while (!this.link.inject(this.attack, this.random)) {
        this.noBlocks++
        this.pass(50_000)
      }
      this.injected++
      const { random } = this
      if (random.below(16) === 0) this.settle()
      if (random.below(JUMP_EVERY) === 0) this.jump()
      if (random.below(DIAL_EVERY) === 0) this.dial()
      if (random.below(CLOSE_EVERY) === 0) this.letGo()
      this.clock.advance(microseconds(STEP_US))
    }
    this.settle()
    this.look()
  }

  /**
   * One honest connection in the middle of it: bytes there and back.
   * @returns milliseconds that it took, in the time of the simulation
   * @throws Error if it fails, or takes a minute
   */
  async honestExchange(bytes: number): Promise<number> {
    const start = this.clock.now()
    this.measuring = true
    const exchange = this.honest.exchange('10.77.1.2', ECHO_PORT, bytes)
    while (!exchange.done) {
      if (exchange.error !== '') throw new Error(`an honest connection failed: ${exchange.error}`)
      if (this.clock.now() - start > PATIENCE_US)
        throw new Error(`an honest connection is stuck: ${this.situation()}`)
      this.flood(32)
      this.pass(1_000)
    }
    this.measuring = false
    return (this.clock.now() - start) / 1_000
  }

  /** How full everything is, for a message. */
  situation(): string {
    const { tcp, arena, honest } = this
    const blocks = arena.classes.map(
      ({ name, inUse, blockBytes, limit, base }) =>
        `${name} ${inUse} of ${Math.trunc((limit - base) / blockBytes)}`,
    )
    const { states, connections } = this.stack.describe()['tcp'] as { states: object; connections: object[] }
    const some = connections.slice(0, 3)
    return `${blocks.join(', ')}; ${tcp.memoryUsed} of ${tcp.settings.memoryBytes} bytes; ${JSON.stringify({ states, some })}; ${honest.situation()}`
  }

  counters(): Record<string, Record<string, number>> {
    const shown: Record<string, Record<string, number>> = {}
    for (const [name, set] of Object.entries(this.stack.counters()))
      shown[name] = Object.fromEntries(Object.entries(set).filter(([, value]) => value > 0))
    return shown
  }

  /** Lets everything run out. @throws AssertionError if a block or a connection stayed anywhere */
  rest(): void {
    this.letAllGo()
    // Longer than R2, the longest that anything may last.
    for (let i = 0; i < 400; i++) {
      this.clock.advance(seconds(5))
      this.settle()
    }
    this.link.release()
    const { connections, halfOpen, timeWait, memoryUsed } = this.tcp
    assert(
      connections.size + halfOpen.size + timeWait.size === 0,
      `${connections.size} connections, ${halfOpen.size} half open, ${timeWait.size} in TIME-WAIT stayed: ${this.situation()}`,
    )
    assert(memoryUsed === 0, `${memoryUsed} bytes stay counted`)
    const { blocksInUse, viewsInUse, holders } = this.arena.state()
    assert(
      blocksInUse <= this.restingBlocks && viewsInUse === 0,
      `${blocksInUse} blocks and ${viewsInUse} views stayed: ${holders.join('; ')}`,
    )
    assert(this.errors.length === 0, `a module failed: ${this.errors[0]?.text}`)
  }

  /** Closes everything. @throws AssertionError if the arena is not whole */
  close(): void {
    this.stack.close()
    for (const stream of [...this.runtime.streams]) stream.close()
    while (this.runtime.turn());
    this.arena.assertWhole()
    this.honest.close()
  }

  /** Notes how full everything is, and that it is within bounds. */
  private look(): void {
    const { most, tcp } = this
    const { settings } = tcp
    most.connections = Math.max(most.connections, tcp.connections.size)
    most.memoryBytes = Math.max(most.memoryBytes, tcp.memoryUsed)
    most.blocks = Math.max(most.blocks, this.arena.state().blocksInUse)
    // An eighth beyond the budget nobody gets anything; the message in hand may have been the last straw.
    const bound = (9 * settings.memoryBytes) / 8 + 2 * MESSAGE_BYTES_MAX
    assert(
      tcp.memoryUsed <= bound,
      `${tcp.memoryUsed} bytes are in use, and ${settings.memoryBytes} is the budget`,
    )
    assert(tcp.connections.size <= settings.connectionsMax, `${tcp.connections.size} connections`)
    assert(tcp.halfOpen.size <= settings.synBacklog, `${tcp.halfOpen.size} half-open connections`)
    assert(tcp.timeWait.size <= settings.timeWaitMax, `${tcp.timeWait.size} connections in TIME-WAIT`)
  }

  /** Lets the node work until there is nothing to do. */
  settle(): void {
    for (let i = 0; i < 100_000; i++) {
      const more = this.runtime.turn()
      if (!this.honest.turn() && !more) return
    }
    throw new Error('the run queue does not become empty')
  }

  /** So that timers run out; not while an honest connection is measured. */
  private jump(): void {
    const { random } = this
    const far = random.below(8) === 0 && !this.measuring
    this.pass(random.below(far ? 80_000_000 : 300_000))
  }

  pass(us: number): void {
    this.clock.advance(microseconds(us))
    this.settle()
  }

  /** What the node sent: to the honest host, or for the attacker to learn from. */
  private sent(mp: Mblk): void {
    const { bytes, rptr } = mp
    const v4 = bytes[rptr]! >> 4 === 4
    const host = bytes[rptr + (v4 ? 19 : 39)]!
    if (v4 && host === 1) {
      this.honest.receive(mp)
      return
    }
    if (host >= FIRST_HOST) {
      const size = messageBytes(mp)
      const copy = new Uint8Array(size)
      readMessage(mp, 0, copy, 0, size, 'edge')
      if (this.onHeard === null) this.attack.learn(copy)
      else this.onHeard(copy)
    }
    freemsg(mp)
  }

  private fromHonest(mp: Mblk): void {
    // A shortage of blocks is a loss on the link.
    this.link.injectCopy(mp)
    freemsg(mp)
  }

  private serve(port: number, handle: (program: AttackedProgram) => void): void {
    const listener = TcpListener.open(this.runtime, { port, backlog: 256 })
    listener.onConnection = () => {
      for (let next = listener.accept(); next !== null; next = listener.accept()) {
        this.accepted++
        const program = new AttackedProgram(next)
        // Nobody closes a program at random that talks to an honest host.
        if (next.remote.address !== HONEST_ADDRESS) this.hold(program)
        handle(program)
      }
    }
  }

  /** So many programs are held at the most; which one has to go, chance decides. */
  private hold(program: AttackedProgram): void {
    if (this.held.length < HELD_MAX) {
      this.held.push(program)
      return
    }
    const at = this.random.below(HELD_MAX)
    this.held[at]!.close()
    this.held[at] = program
  }

  /** Closes all programs that talk to the attacker. */
  letAllGo(): void {
    for (const program of this.held.splice(0)) program.close()
  }

  private letGo(): void {
    const { held, random } = this
    if (held.length === 0) return
    const at = random.below(held.length)
    const program = held[at]!
    const how = random.below(4)
    if (how === 0) return program.shutdown()
    if (how === 1) program.abort()
    else program.close()
    const last = held.pop()!
    if (last !== program) held[at] = last
  }

  private dial(): void {
    const { random, runtime } = this
    const host = FIRST_HOST + random.below(128)
    const address = random.below(4) === 0 ? `fd77:1::${host.toString(16)}` : `10.77.1.${host}`
    try {
      this.hold(
        new AttackedProgram(
          TcpConnection.connect(runtime, { address, port: 1_024 + random.below(1_000) }),
        ).echo(),
      )
      this.dialled++
    } catch (error) {
      // Too many connections: the bound was reached, which is what it is for.
      if (!(error instanceof StackError) || error.code !== 'ERR_NO_BUFFERS') throw error
    }
  }
}
