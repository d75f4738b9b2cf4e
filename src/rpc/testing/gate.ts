import { intHandler, type ServerBench } from './server-harness.ts'

/** A procedure that is done when the test says so. */
export class Gate {
  /** Arguments of those that run, in the order of their beginning. */
  readonly begun: number[] = []
  readonly signals: AbortSignal[] = []
  private readonly waiting = new Map<number, (value: number) => void>()

  readonly handler = intHandler(1, (argument, context) => {
    this.begun.push(argument)
    this.signals.push(context.signal)
    return new Promise<number>(resolve => this.waiting.set(argument, resolve))
  })

  async open(bench: ServerBench, argument: number): Promise<void> {
    this.waiting.get(argument)!(argument)
    this.waiting.delete(argument)
    await bench.rest()
  }

  async openAll(bench: ServerBench): Promise<void> {
    while (this.waiting.size > 0)
      for (const argument of [...this.waiting.keys()]) await this.open(bench, argument)
  }
}
