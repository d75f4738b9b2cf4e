/** The calculator's server. See docs/guides/your-first-rpc.md, or --help. */
import { parseArgs } from 'node:util'
import { RpcbindClient, RpcRegistration, RpcServer } from 'putnext/rpc'
import { atEnd, openStack, STACK_OPTIONS, STACK_USAGE, type Stack } from '../stack.ts'
import { type CalculatorV1Service, calculatorV1Service } from './generated/calculator-server.ts'
import { type Answer, Operation, type Task } from './generated/calculator-types.ts'

const USAGE = `usage: server.js STACK [--port N] [--rpcbind ADDRESS] [--work MS]
${STACK_USAGE}
  --port N            where calls are taken, by TCP and UDP (7100)
  --rpcbind ADDRESS   register with the rpcbind there
  --work MS           what CALC_ACCUMULATE takes, to see what happens meanwhile (0)
`

/** Nothing in here knows of a network. */
class Calculator implements CalculatorV1Service {
  #sum = 0
  readonly #workMs: number

  constructor(workMs: number) {
    this.#workMs = workMs
  }

  compute({ what, left, right }: Task): Answer {
    switch (what) {
      case Operation.ADD:
        return { isDefined: true, value: left + right }
      case Operation.SUBTRACT:
        return { isDefined: true, value: left - right }
      case Operation.MULTIPLY:
        return { isDefined: true, value: left * right }
      case Operation.DIVIDE:
        if (right === 0) return { isDefined: false, reason: `${left} divided by nothing` }
        return { isDefined: true, value: left / right }
    }
  }

  /** The effect comes first, then the work: who dies in between has added, and told nobody. */
  accumulate(amount: number): number | Promise<number> {
    this.#sum += amount
    const sum = this.#sum
    if (this.#workMs === 0) return sum
    return new Promise(resolve => setTimeout(() => resolve(sum), this.#workMs))
  }

  total(): number {
    return this.#sum
  }
}

async function serve(stack: Stack, port: number, workMs: number, rpcbind?: string): Promise<void> {
  const server = new RpcServer(stack, { onError: (error, where) => console.error(where, error) })
  server.add(calculatorV1Service(new Calculator(workMs)))
  const places = await server.listen({ port })
  const registration =
    rpcbind === undefined
      ? null
      : await RpcRegistration.start(
          stack.runtime,
          new RpcbindClient(stack, { address: rpcbind }),
          server,
          places,
        )
  console.log(`calculator: ready at port ${port}`)

  atEnd(async () => {
    await registration?.close()
    await server.close({ graceMs: 1_000 })
    for (const { name, counters, latency } of server.describe())
      console.log(
        `${name}: ${counters.calls} calls, ${counters.answered} answered, median ${latency.p50Us} us`,
      )
    await stack.close()
  })
}

const { values } = parseArgs({
  options: {
    ...STACK_OPTIONS,
    port: { type: 'string', default: '7100' },
    rpcbind: { type: 'string' },
    work: { type: 'string', default: '0' },
    help: { type: 'boolean', default: false },
  },
})
const stack = values.help ? null : await openStack(values)
if (stack === null) {
  console.error(USAGE)
  process.exitCode = values.help ? 0 : 2
} else await serve(stack, Number(values.port), Number(values.work), values.rpcbind)
