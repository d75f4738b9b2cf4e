/** Calls the calculator. See docs/guides/your-first-rpc.md, or --help. */
import { parseArgs } from 'node:util'
import { RpcClient, RpcError, type RpcTraceEvent, rpcbindLookup } from 'putnext/rpc'
import { openStack, STACK_OPTIONS, STACK_USAGE, type Stack } from '../stack.ts'
import { CalculatorV1Client } from './generated/calculator-client.ts'
import { CALCULATOR, CALCULATOR_V1 } from './generated/calculator-procedures.ts'
import { Operation } from './generated/calculator-types.ts'

const USAGE = `usage: client.js STACK [options] ADDRESS add|subtract|multiply|divide LEFT RIGHT
       client.js STACK [options] ADDRESS accumulate AMOUNT
       client.js STACK [options] ADDRESS total
${STACK_USAGE}
  --port N            the server's; without it the rpcbind at ADDRESS is asked
  --udp               by datagrams instead of a connection
  --at-most-once      ask for a session: calls run once at the most, however often they are sent
  --timeout MS        until a call is given up (10000)
  --trace             tell of each call as it ends
`

const OPERATIONS: Readonly<Record<string, Operation>> = {
  add: Operation.ADD,
  subtract: Operation.SUBTRACT,
  multiply: Operation.MULTIPLY,
  divide: Operation.DIVIDE,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...STACK_OPTIONS,
    port: { type: 'string' },
    udp: { type: 'boolean', default: false },
    'at-most-once': { type: 'boolean', default: false },
    timeout: { type: 'string', default: '10000' },
    trace: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

async function ask(stack: Stack, address: string, command: string, numbers: number[]): Promise<string> {
  await using client = await RpcClient.connect(stack, {
    address,
    port: values.port === undefined ? undefined : Number(values.port),
    lookup: rpcbindLookup(stack, { address }),
    transport: values.udp ? 'udp' : 'tcp',
    program: CALCULATOR,
    version: CALCULATOR_V1,
    atMostOnce: values['at-most-once'],
    timeoutMs: Number(values.timeout),
    // The first call connects. A server that is not there yet has until the call's deadline to come.
    lazy: true,
    trace: values.trace ? event => console.error(describe(event)) : undefined,
  })
  const calculator = new CalculatorV1Client(client)
  const [left = 0, right = 0] = numbers
  const what = OPERATIONS[command]
  if (what !== undefined) {
    const answer = await calculator.compute({ what, left, right })
    return answer.isDefined ? String(answer.value) : answer.reason
  }
  if (command === 'accumulate') return String(await calculator.accumulate(left))
  return String(await calculator.total())
}

function describe({ procedure, xid, peer, beganAt, endedAt, transmissions, result }: RpcTraceEvent): string {
  const ms = ((endedAt - beganAt) / 1_000).toFixed(1)
  return `${procedure} xid ${xid} to ${peer}: ${result} after ${ms} ms, sent ${transmissions} times`
}

/** What a caller can do about it depends on the outcome: see "When it fails" in the guide. */
function tell(error: unknown): void {
  if (!(error instanceof RpcError)) throw error
  console.error(`${error.outcome}: ${error.message}\n  ${error.hint}`)
  process.exitCode = error.mayHaveRun ? 3 : 1
}

const [address, command = '', ...rest] = positionals
const isKnown = command in OPERATIONS || command === 'accumulate' || command === 'total'
const stack = address === undefined || !isKnown || values.help ? null : await openStack(values)
if (stack === null) {
  console.error(USAGE)
  process.exitCode = values.help ? 0 : 2
} else {
  await ask(stack, address!, command, rest.map(Number)).then(text => console.log(text), tell)
  await stack.close()
}
