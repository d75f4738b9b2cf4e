/**
 * What a remote call is not: a local one. Each test is a sentence of the lecture on remote procedure calls, small enough to be
 * shown; a client and a server of ours over a net that loses what the test tells it to, in virtual time.
 */
import { describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import { milliseconds } from '../base/time.ts'
import { makeTestRuntime } from '../streams/testing/runtime.ts'
import { RpcClient } from './client.ts'
import { RpcServer } from './server.ts'
import { rpcHandler } from './stub-types.ts'
import { type TestChannel, TestNet } from './testing/channel-pair.ts'
import { failureOf } from './testing/client-rig.ts'
import { PROGRAM, procedure, resultOf, World } from './testing/lecture-world.ts'
import { type XdrCodec, xdrArray, xdrDouble, xdrInt, xdrOptional, xdrString, xdrVoid } from './xdr/index.ts'

// A local procedure sees the variables around it. A remote one runs in another process, often on another machine: it has variables of
// the same names, and other values. All that it is to know has to be among its arguments, and all that it found out in its result.
describe('there are no implicit parameters', () => {
  /** A library with a global variable, as each of two processes has loaded it. */
  function library() {
    let digits = 2
    return {
      setDigits: (count: number) => {
        digits = count
      },
      text: (value: number) => value.toFixed(digits),
      textOf: (value: number, count: number) => value.toFixed(count),
    }
  }

  it('a global variable that the caller set is not set on the other side; what is to arrive is an argument', async () => {
    const here = library()
    const there = library()
    const TEXT = procedure(1, xdrDouble, xdrString())
    const world = new World('tcp', () => [rpcHandler(TEXT, value => there.text(value))])
    here.setDigits(4)
    expect(here.text(Math.PI)).toBe('3.1416')
    expect(await resultOf(world, world.client.call(TEXT, Math.PI))).toBe('3.14')
    expect(here.textOf(Math.PI, 4)).toBe(there.textOf(Math.PI, 4))
    await world.end()
  })
})

// What crosses the wire is a value, written out and read again. A local call by reference shares memory with its caller; here both
// sides have memory of their own, so a change is not seen, sharing is lost, and what cannot be written out cannot be passed.
describe('there are no references: arguments and results are copies', () => {
  const SORT = procedure(1, xdrArray(xdrInt), xdrArray(xdrInt))

  it('what the server does to an argument, the caller does not see', async () => {
    const sort = (numbers: readonly number[]) => (numbers as number[]).sort((a, b) => a - b)
    const world = new World('tcp', () => [rpcHandler(SORT, sort)])
    const local = [3, 1, 2]
    sort(local)
    expect(local).toEqual([1, 2, 3])
    const mine = [3, 1, 2]
    expect(await resultOf(world, world.client.call(SORT, mine))).toEqual([1, 2, 3])
    expect(mine).toEqual([3, 1, 2])
    await world.end()
  })

  it('what the caller does to an argument after the call, the server does not see', async () => {
    const world = new World('tcp', () => [rpcHandler(SORT, numbers => numbers)], {}, 5)
    const mine = [1, 2, 3]
    const sorted = world.client.call(SORT, mine)
    mine[0] = 99
    await world.pass(50)
    expect(await sorted).toEqual([1, 2, 3])
    await world.end()
  })

  it('one object that an argument has twice, the server has as two', async () => {
    const PAIR = procedure(1, xdrArray(xdrArray(xdrInt)), xdrString())
    const world = new World('tcp', () => [
      rpcHandler(PAIR, ([first, second]) => {
        ;(first as number[])[0] = 7
        return `${first === second ? 'one object' : 'two'}: ${first} and ${second}`
      }),
    ])
    const shared = [1]
    const call = world.client.call(PAIR, [shared, shared])
    expect(await resultOf(world, call)).toBe('two: 7 and 1')
    await world.end()
  })

  it('an argument that leads back to itself cannot be sent: the call is refused before anything is', async () => {
    interface Item {
      next: Item | null
    }
    const itemXdr: XdrCodec<Item> = {
      encode: (xdr, { next }) => {
        xdr.putOptional('next', next, itemXdr)
      },
      decode: xdr => ({ next: xdr.optional('next', itemXdr) }),
    }
    const COUNT = procedure(1, itemXdr, xdrInt)
    const length = (item: Item | null): number => (item === null ? 0 : 1 + length(item.next))
    const world = new World('tcp', () => [rpcHandler(COUNT, length)])
    expect(await resultOf(world, world.client.call(COUNT, { next: { next: null } }))).toBe(2)
    const circle: Item = { next: null }
    circle.next = circle
    const failure = await failureOf(world.client.call(COUNT, circle))
    expect(failure).toMatchObject({ outcome: 'refused', mayHaveRun: false })
    expect(failure.message).toContain('nested deeper than 100')
    await world.end()
  })

  it('a pointer is either nothing or a copy of what it points at', async () => {
    const FIRST = procedure(1, xdrOptional(xdrArray(xdrInt)), xdrInt)
    const world = new World('tcp', () => [rpcHandler(FIRST, numbers => numbers?.[0] ?? -1)])
    expect(await resultOf(world, world.client.call(FIRST, null))).toBe(-1)
    expect(await resultOf(world, world.client.call(FIRST, [5]))).toBe(5)
    await world.end()
  })
})

// Encoding, a header, matching the reply, a promise: even when the other side is in the same process that is hundreds of local calls.
// A network adds its round trip, a thousand times that. So interfaces for remote calls ask for much at a time.
describe('a remote call is much slower than a local one', () => {
  it('more than ten times, even with no network between', async () => {
    const add = (amount: number): number => amount + 1
    const ADD = procedure(1, xdrInt, xdrInt)
    const world = new World('tcp', () => [rpcHandler(ADD, add)])
    await resultOf(world, world.client.call(ADD, 0))
    let sum = 0
    const nanoseconds = async (calls: number, one: () => unknown): Promise<number> => {
      const began = performance.now()
      for (let i = 0; i < calls; i++) {
        const made = one()
        if (made instanceof Promise) {
          world.test.settle()
          sum += await made
        }
      }
      return ((performance.now() - began) * 1e6) / calls
    }
    const once = () => {
      sum = add(sum)
    }
    const call = () => world.client.call(ADD, 1)
    await nanoseconds(1_000_000, once)
    await nanoseconds(2_000, call)
    const local = await nanoseconds(1_000_000, once)
    const remote = await nanoseconds(2_000, call)
    console.info(
      `a local call ${local.toFixed(1)} ns, a remote one ${remote.toFixed(0)} ns: ${Math.round(remote / local)} times as long, network not included`,
    )
    expect(remote / local).toBeGreaterThan(10)
    await world.end()
  })
})

// A local call either returns, or the caller dies with it. Here one side may fail alone, and a message may be lost: the caller must
// decide how long to wait, whether to ask again, and what to believe if no answer came. Nobody can take this from it.
describe('the client must see to time-outs and recovery', () => {
  /** The disk of a shop, which outlives its server: how often something was ordered. */
  function shop() {
    const state = { ordered: 0 }
    const ORDER = procedure(1, xdrVoid, xdrInt)
    return { state, ORDER, handlers: () => [rpcHandler(ORDER, () => ++state.ordered)] }
  }

  it('a request that is lost has no effect; the client sends it again', async () => {
    const { state, ORDER, handlers } = shop()
    const world = new World('udp', handlers)
    world.loseOne('client')
    const made = world.client.call(ORDER, undefined)
    await world.pass(50)
    expect(state.ordered).toBe(0)
    await world.pass(200)
    expect(await made).toBe(1)
    expect(state.ordered).toBe(1)
    await world.end()
  })

  it('a reply that is lost: the client cannot tell it from a lost request, and sends it again; the server must know it', async () => {
    const { state, ORDER, handlers } = shop()
    const world = new World('udp', handlers)
    world.loseOne('server')
    const made = world.client.call(ORDER, undefined)
    await world.pass(50)
    expect(state.ordered).toBe(1)
    await world.pass(200)
    expect(await made).toBe(1)
    // It was not run again: the server answered with the reply that it had kept.
    expect(state.ordered).toBe(1)
    await world.end()
  })

  it('at least once: a procedure marked idempotent is run again, and if it is not idempotent, that shows', async () => {
    const state = { ordered: 0 }
    const ORDER = procedure(1, xdrVoid, xdrInt, true)
    const world = new World('udp', () => [rpcHandler(ORDER, () => ++state.ordered)])
    world.loseOne('server')
    const made = world.client.call(ORDER, undefined)
    await world.pass(250)
    expect(await made).toBe(2)
    expect(state.ordered).toBe(2)
    await world.end()
  })

  it('a server that does not answer in time: the caller gives up, and knows that it knows nothing', async () => {
    const SLOW = procedure(1, xdrVoid, xdrVoid)
    const world = new World('tcp', () => [rpcHandler(SLOW, () => new Promise<void>(() => {}))])
    const failure = failureOf(world.client.call(SLOW, undefined, { timeoutMs: 100 }))
    await world.pass(200)
    expect(await failure).toMatchObject({ outcome: 'unknown', code: 'ERR_TIMED_OUT', mayHaveRun: true })
    await world.end()
  })

  it('a server that dies before the effect, or after it: the caller sees the same', async () => {
    const failures = []
    const effects = []
    for (const diesAfterMs of [5, 15]) {
      const { state, ORDER, handlers } = shop()
      const world = new World('tcp', handlers, {}, 10)
      await Promise.all([world.client.ready(), world.pass(100)])
      const failure = failureOf(world.client.call(ORDER, undefined))
      // The request takes 10 ms, the reply as long again.
      await world.pass(diesAfterMs)
      world.killServer()
      await world.pass(100)
      const { outcome, code, message } = await failure
      failures.push({ outcome, code, message })
      effects.push(state.ordered)
      await world.end()
    }
    expect(effects).toEqual([0, 1])
    expect(failures[0]).toMatchObject({ outcome: 'unknown' })
    expect(failures[0]).toEqual(failures[1])
  })

  it('a server that is not there at all: refused, which the caller may take at its word', async () => {
    const { state, ORDER, handlers } = shop()
    const world = new World('tcp', handlers, { persistent: false })
    world.killServer()
    const failure = failureOf(world.client.call(ORDER, undefined))
    await world.pass(50)
    expect(await failure).toMatchObject({ outcome: 'refused', mayHaveRun: false })
    expect(state.ordered).toBe(0)
    await world.end()
  })

  it('at most once: with a session a lost connection costs nothing, the kept reply is asked for over the next one', async () => {
    const { state, ORDER, handlers } = shop()
    const world = new World('tcp', handlers, { atMostOnce: true }, 10)
    await Promise.all([world.client.ready(), world.pass(100)])
    expect(world.client.isAtMostOnce).toBe(true)
    const made = world.client.call(ORDER, undefined)
    await world.pass(15)
    expect(state.ordered).toBe(1)
    world.breakConnection()
    await world.pass(500)
    expect(await made).toBe(1)
    expect(state.ordered).toBe(1)
    await world.end()
  })

  it('at most once: a server that was started again has forgotten the session, so the call is not run a second time, and unknown', async () => {
    const { state, ORDER, handlers } = shop()
    const world = new World('tcp', handlers, { atMostOnce: true }, 10)
    await Promise.all([world.client.ready(), world.pass(100)])
    const failure = failureOf(world.client.call(ORDER, undefined))
    await world.pass(15)
    world.killServer()
    world.startServer()
    await world.pass(500)
    expect(await failure).toMatchObject({ outcome: 'unknown' })
    expect(state.ordered).toBe(1)
    // Whoever must know asks for the state, by a call that may be made again.
    const next = world.client.call(ORDER, undefined)
    await world.pass(500)
    expect(await next).toBe(2)
    await world.end()
  })

  it('at least once: the same with a procedure marked idempotent is sent to the new server by itself', async () => {
    let runs = 0
    const READ = procedure(1, xdrVoid, xdrString(), true)
    const world = new World('tcp', () => [rpcHandler(READ, () => `run ${++runs}`)], {}, 10)
    await Promise.all([world.client.ready(), world.pass(100)])
    const made = world.client.call(READ, undefined)
    await world.pass(15)
    world.killServer()
    world.startServer()
    await world.pass(500)
    expect(await made).toBe('run 2')
    await world.end()
  })
})

// A linker decides once which procedure a name means. Here it is asked while the program runs, and the answer may change.
describe('binding: whom a name means is found out while the program runs', () => {
  const NAME = procedure(1, xdrVoid, xdrString())

  it('a server that moved is found again: the client asks for the port at each connection', async () => {
    const test = makeTestRuntime()
    const places = new Map<number, TestNet>()
    const registered = { port: 0 }
    const asked: number[] = []
    const serve = (port: number) => {
      const net = new TestNet(test.runtime)
      const server = new RpcServer({ runtime: test.runtime }, { secretWord: () => port })
      const ends: TestChannel[] = []
      server.add({
        name: 'P',
        program: PROGRAM,
        version: 1,
        handlers: [rpcHandler(NAME, () => `at ${port}`)],
      })
      net.onChannel = end => {
        ends.push(end)
        server.accept(end)
      }
      places.set(port, net)
      registered.port = port
      return () => {
        net.onChannel = null
        void server.close()
        for (const end of ends) end.break()
      }
    }
    const lookup = async () => {
      asked.push(registered.port)
      const place = places.get(registered.port)
      if (place === undefined) throw new StackError('ERR_NOT_FOUND', 'nobody has registered')
      return place.connect()
    }
    const client = RpcClient.over({ runtime: test.runtime }, lookup, true, { timeoutMs: 1_000 })
    const pass = async () => {
      for (let i = 0; i < 20; i++) {
        await new Promise(resolve => setImmediate(resolve))
        test.advance(milliseconds(10))
      }
    }
    const stopFirst = serve(7_100)
    const first = client.call(NAME, undefined)
    await pass()
    expect(await first).toBe('at 7100')
    stopFirst()
    const stopSecond = serve(7_200)
    await pass()
    const second = client.call(NAME, undefined)
    await pass()
    expect(await second).toBe('at 7200')
    expect(asked).toEqual([7_100, 7_200])
    client.close()
    stopSecond()
    await pass()
    test.finish()
  })

  it('another version than the server has: it says which it has, and nothing has run', async () => {
    const world = new World('tcp', () => [rpcHandler(NAME, () => 'version 1')])
    const failure = failureOf(world.client.call({ ...NAME, version: 3 }, undefined))
    await world.pass(10)
    expect(await failure).toMatchObject({
      outcome: 'answered',
      status: 'PROG_MISMATCH',
      versions: [1, 1],
      mayHaveRun: false,
    })
    await world.end()
  })
})
