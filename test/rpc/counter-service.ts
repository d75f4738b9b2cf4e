/** A service whose effects can be counted call by call. Its state is not the server's: it is there when the server is started again. */
import { type RpcHandler, type RpcProcedure, type RpcService, rpcHandler } from '../../src/rpc/index.ts'
import { xdrInt } from '../../src/rpc/xdr/index.ts'

export const PROGRAM = 0x2000_0777
export const VERSION = 1

function procedureOf(name: string, procedure: number, isIdempotent = false): RpcProcedure<number, number> {
  return {
    name,
    program: PROGRAM,
    version: VERSION,
    procedure,
    isIdempotent,
    argument: xdrInt,
    result: xdrInt,
  }
}

/** Each takes the number of the call and adds one to the counter: at once, before a while, behind a while. */
export const ADD = procedureOf('ADD', 1)
export const ADD_THEN_WAIT = procedureOf('ADD_THEN_WAIT', 2)
export const WAIT_THEN_ADD = procedureOf('WAIT_THEN_ADD', 3)
/** May be done as often as anybody likes. */
export const TOUCH = procedureOf('TOUCH', 4, true)

export class CounterState {
  /** How often each call had its effect. */
  readonly effects: Uint8Array
  total = 0

  /** @param calls - their numbers are from 0 to this less one */
  constructor(calls: number) {
    this.effects = new Uint8Array(calls)
  }

  add(call: number): number {
    this.effects[call]!++
    return ++this.total
  }
}

/** One run of the program that serves it: once it crashed nothing that it had begun goes on. */
export interface ProgramRun {
  isAlive: boolean
}

/** @param wait - lets some virtual time pass */
export function counterService(state: CounterState, run: ProgramRun, wait: () => Promise<void>): RpcService {
  const add = (call: number): number => {
    // Its answer goes nowhere: the connections are gone.
    if (!run.isAlive) throw new Error('the program crashed')
    return state.add(call)
  }
  const handlers: RpcHandler[] = [
    rpcHandler(ADD, add),
    rpcHandler(ADD_THEN_WAIT, async call => {
      const total = await add(call)
      await wait()
      return total
    }),
    rpcHandler(WAIT_THEN_ADD, async call => {
      await wait()
      return add(call)
    }),
    rpcHandler(TOUCH, add),
  ]
  return { name: 'COUNTER', program: PROGRAM, version: VERSION, handlers }
}
