/** The calculator's server. See docs/guides/your-first-rpc.md, or --help. */
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { RpcbindClient, RpcRegistration, RpcServer } from 'putnext/rpc'
import { atEnd, openStack, STACK_OPTIONS, STACK_USAGE, type Stack } from '../stack.ts'
import { type CalculatorV1Service, calculatorV1Service } from './generated/calculator-server.ts'
import { type Answer, Operation, type Task } from './generated/calculator-types.ts'

const USAGE = `usage: server.js STACK [--port N] [--rpcbind ADDRESS] [--work MS] [--crash before|after]
${STACK_USAGE}
  --port N            where calls are taken, by TCP and UDP (7100)
  --rpcbind ADDRESS   register with the rpcbind there
  --work MS           what CALC_ACCUMULATE takes, to see what a caller does meanwhile (0)
  --crash WHEN        die in the first CALC_ACCUMULATE, before its effect or after it
`

/** Nothing in here knows of a network. */
class Calculator implements CalculatorV1Service {
  #sum = 0
  readonly #workMs: number
  readonly #crash: string | undefined

  constructor(workMs: number, crash?: string) {
    this.#workMs = workMs
    this.#crash = crash
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

  async accumulate(amount: number): Promise<number> {
    if (this.#crash === 'before') process.kill(process.pid, 'SIGKILL')
    this.#sum += amount
    const sum = this.#sum
    console.log(`the total is ${sum}`)
    if (this.#crash === 'after') process.kill(process.pid, 'SIGKILL')
    if (this.#workMs > 0) await setTimeout(this.#workMs)
    return sum
  }

  total(): number {
    return this.#sum
  }
}

async function serve(stack: Stack, port: number, calculator: Calculator, rpcbind?: string): Promise<void> {
  const server = new RpcServer(stack, {
    onError: (error, where) => console.error(where, error),
    // To look at the clock costs more than these procedures: a busy server leaves this at every 16th call.
    measureEvery: 1,
  })
  server.add(calculatorV1Service(calculator))
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
        `${name}: ${counters.calls} calls, ${counters.answered} answered, median ${Math.round(latency.p50Us)} us`,
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
    crash: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const stack = values.help ? null : await openStack(values)
if (stack === null) {
  console.error(USAGE)
  process.exitCode = values.help ? 0 : 2
} else {
  const calculator = new Calculator(Number(values.work), values.crash)
  await serve(stack, Number(values.port), calculator, values.rpcbind)
}
