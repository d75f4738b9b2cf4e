/** Which procedure a call is for (RFC 5531 §9): program, version, procedure, or the status that says which of them is not here. */
import { StackError } from '../base/errors.ts'
import type { ProcedureMetrics } from './procedure-metrics.ts'
import { PROC_UNAVAIL, PROG_MISMATCH, PROG_UNAVAIL, SUCCESS } from './status.ts'
import type { RpcHandler, RpcProcedure, RpcService } from './stub-types.ts'
import { xdrVoid } from './xdr/codec.ts'

/** One procedure of a server. */
export interface DispatchEntry<Q, Name extends string> {
  readonly procedure: RpcProcedure<unknown, unknown>
  /** Null for the NULL procedure of a service that does not define it. */
  readonly handler: RpcHandler | null
  /** Where its calls wait. */
  readonly queue: Q
  readonly metrics: ProcedureMetrics<Name>
  /** Done twice it is as if done once: nothing is remembered of its calls. */
  readonly isIdempotent: boolean
}

interface Version<Q, Name extends string> {
  readonly program: number
  readonly version: number
  readonly service: RpcService
  readonly entries: Map<number, DispatchEntry<Q, Name>>
}

interface Program<Q, Name extends string> {
  readonly versions: Map<number, Version<Q, Name>>
  low: number
  high: number
}

/** One for a server. @typeParam Q - what stands for a queue */
export class Dispatch<Q, Name extends string> {
  /** With a status of PROG_MISMATCH: the lowest and the highest version that is here. */
  low = 0
  high = 0
  /** Why the last {@link find} found nothing. */
  status = SUCCESS
  private readonly programs = new Map<number, Program<Q, Name>>()
  private readonly makeMetrics: (procedure: RpcProcedure<unknown, unknown>) => ProcedureMetrics<Name>
  /** What was found last: mostly the next call is for the same. */
  private last: Version<Q, Name> | null = null

  constructor(makeMetrics: (procedure: RpcProcedure<unknown, unknown>) => ProcedureMetrics<Name>) {
    this.makeMetrics = makeMetrics
  }

  /**
   * @throws StackError `ERR_ALREADY` if this version of the program is here; `ERR_BAD_ARGUMENT` if a procedure is there twice, or of
   * another program
   */
  add(service: RpcService, queue: Q): void {
    if (!Array.isArray(service.handlers)) {
      throw new StackError('ERR_BAD_ARGUMENT', 'what is added is no service', {
        hint: 'make one of your implementation by the ...Service() of the generated file',
      })
    }
    const { program, version } = service
    const known = this.programs.get(program)
    if (known?.versions.has(version)) {
      throw new StackError('ERR_ALREADY', `program ${program} version ${version} is served already`)
    }
    const entries = this.entriesOf(service, queue)
    const owner = known ?? { versions: new Map(), low: version, high: version }
    owner.versions.set(version, { program, version, service, entries })
    owner.low = Math.min(owner.low, version)
    owner.high = Math.max(owner.high, version)
    this.programs.set(program, owner)
  }

  /** @returns null if there is no such procedure: {@link status} says why */
  find(program: number, version: number, procedure: number): DispatchEntry<Q, Name> | null {
    let at = this.last
    if (at === null || at.program !== program || at.version !== version) {
      at = this.findVersion(program, version)
      if (at === null) return null
      this.last = at
    }
    const entry = at.entries.get(procedure)
    if (entry !== undefined) return entry
    this.status = PROC_UNAVAIL
    return null
  }

  get services(): RpcService[] {
    return [...this.programs.values()].flatMap(({ versions }) =>
      [...versions.values()].map(({ service }) => service),
    )
  }

  private findVersion(program: number, version: number): Version<Q, Name> | null {
    const known = this.programs.get(program)
    if (known === undefined) {
      this.status = PROG_UNAVAIL
      return null
    }
    const found = known.versions.get(version)
    if (found !== undefined) return found
    this.status = PROG_MISMATCH
    this.low = known.low
    this.high = known.high
    return null
  }

  private entriesOf(service: RpcService, queue: Q): Map<number, DispatchEntry<Q, Name>> {
    const entries = new Map<number, DispatchEntry<Q, Name>>()
    const put = (procedure: RpcProcedure<unknown, unknown>, handler: RpcHandler | null): void => {
      const isIdempotent = procedure.isIdempotent || procedure.procedure === 0
      const metrics = this.makeMetrics(procedure)
      entries.set(procedure.procedure, { procedure, handler, queue, metrics, isIdempotent })
    }
    for (const handler of service.handlers) {
      const { procedure } = handler
      if (procedure.program !== service.program || procedure.version !== service.version) {
        throw new StackError('ERR_BAD_ARGUMENT', `${procedure.name} is no procedure of ${service.name}`)
      }
      if (entries.has(procedure.procedure)) {
        throw new StackError('ERR_BAD_ARGUMENT', `${service.name} has two handlers of ${procedure.name}`)
      }
      put(procedure, handler)
    }
    if (!entries.has(0)) put(nullOf(service), null)
    return entries
  }
}

/** RFC 5531 §12.1: every program has a procedure 0 that takes nothing, gives nothing, and asks for no authentication. */
function nullOf({ name, program, version }: RpcService): RpcProcedure<unknown, unknown> {
  const codec = xdrVoid as never
  return {
    name: `${name}_NULL`,
    program,
    version,
    procedure: 0,
    isIdempotent: true,
    argument: codec,
    result: codec,
  }
}
