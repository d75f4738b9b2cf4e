// Made from calculator.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcCaller, RpcCallOptions } from 'putnext/rpc'
import { calculatorV1Procedures } from './calculator-procedures.ts'
import type { Answer, Task } from './calculator-types.ts'

/** Calls version 1 of CALCULATOR: each method is a procedure on the other side. */
export class CalculatorV1Client {
  readonly #caller: RpcCaller

  constructor(caller: RpcCaller) {
    this.#caller = caller
  }

  /** Computes; the same task has the same answer, so asking twice does no harm. */
  compute(argument: Task, options?: RpcCallOptions): Promise<Answer> {
    return this.#caller.call(calculatorV1Procedures.compute, argument, options)
  }

  /** Adds to the server's running total and returns it: asked twice, it would add twice. */
  accumulate(argument: number, options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(calculatorV1Procedures.accumulate, argument, options)
  }

  /** The running total. */
  total(options?: RpcCallOptions): Promise<number> {
    return this.#caller.call(calculatorV1Procedures.total, undefined, options)
  }
}
