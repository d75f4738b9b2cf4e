// Made from calculator.x by putnext rpcgen. Edits are lost when it runs again.
import type { RpcProcedure } from 'putnext/rpc'
import { xdrDouble, xdrVoid } from 'putnext/xdr'
import { answerXdr, taskXdr } from './calculator-codecs.ts'
import type { Answer, Task } from './calculator-types.ts'

export const CALCULATOR = 536871169
export const CALCULATOR_V1 = 1

/** Version 1 of CALCULATOR. */
export const calculatorV1Procedures = {
  /** Computes; the same task has the same answer, so asking twice does no harm. */
  compute: {
    name: 'CALC_COMPUTE',
    program: 536871169,
    version: 1,
    procedure: 1,
    isIdempotent: true,
    argument: taskXdr,
    result: answerXdr,
  } satisfies RpcProcedure<Task, Answer>,
  /** Adds to the server's running total and returns it: asked twice, it would add twice. */
  accumulate: {
    name: 'CALC_ACCUMULATE',
    program: 536871169,
    version: 1,
    procedure: 2,
    isIdempotent: false,
    argument: xdrDouble,
    result: xdrDouble,
  } satisfies RpcProcedure<number, number>,
  /** The running total. */
  total: {
    name: 'CALC_TOTAL',
    program: 536871169,
    version: 1,
    procedure: 3,
    isIdempotent: true,
    argument: xdrVoid,
    result: xdrDouble,
  } satisfies RpcProcedure<void, number>,
}
