// Made from calculator.x by putnext rpcgen. Edits are lost when it runs again.
import { type Awaitable, type RpcContext, type RpcService, rpcHandler } from 'putnext/rpc'
import { calculatorV1Procedures } from './calculator-procedures.ts'
import type { Answer, Task } from './calculator-types.ts'

/** What a server of version 1 of CALCULATOR implements. */
export interface CalculatorV1Service {
  /** Computes; the same task has the same answer, so asking twice does no harm. */
  compute(argument: Task, context: RpcContext): Awaitable<Answer>
  /** Adds to the server's running total and returns it: asked twice, it would add twice. */
  accumulate(argument: number, context: RpcContext): Awaitable<number>
  /** The running total. */
  total(context: RpcContext): Awaitable<number>
}

/** The dispatch table of version 1 of CALCULATOR, to be registered with a server. */
export function calculatorV1Service(service: CalculatorV1Service): RpcService {
  return {
    name: 'CALCULATOR',
    program: 536871169,
    version: 1,
    handlers: [
      rpcHandler(calculatorV1Procedures.compute, (argument, context) => service.compute(argument, context)),
      rpcHandler(calculatorV1Procedures.accumulate, (argument, context) =>
        service.accumulate(argument, context),
      ),
      rpcHandler(calculatorV1Procedures.total, (_argument, context) => service.total(context)),
    ],
  }
}
