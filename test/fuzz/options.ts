import { parseArgs } from 'node:util'

export const HELP = `usage: scripts/fuzz [options]

Feeds every parser mutated input, several parsers at once. Replays the kept corpus first. An input that makes a
parser throw, hang or run out of memory is written to test/fuzz/corpus/NAME/crash-HASH.

  --seconds N     how long each target runs (default 30)
  --runs N        stop a target after so many runs
  --seed N        start of all randomness (default: from the clock; printed first)
  --target NAME   only this target; may be repeated
  --jobs N        targets at a time (default 2)
  --replay FILE   run one input once, with one --target, and let it throw
  --list          print the names of the targets
  --help          this text

Exits 1 if a target failed or never ran, 2 if the command line is wrong.
`

export interface FuzzOptions {
  readonly seconds: number
  readonly runs: number
  readonly seed: number
  readonly jobs: number
  readonly targets: readonly string[]
  readonly replay: string | null
  readonly list: boolean
  readonly help: boolean
}

/**
 * @param now - seeds the run if no seed is given
 * @throws Error with a message for the user
 */
export function parseOptions(args: readonly string[], now: number): FuzzOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string' },
      runs: { type: 'string' },
      seed: { type: 'string' },
      jobs: { type: 'string' },
      target: { type: 'string', multiple: true },
      replay: { type: 'string' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const targets = values.target ?? []
  if (values.replay !== undefined && targets.length !== 1)
    throw new Error('--replay needs exactly one --target')
  return {
    seconds: positive('--seconds', values.seconds, 30),
    runs: positive('--runs', values.runs, Number.POSITIVE_INFINITY),
    seed: values.seed === undefined ? now >>> 0 : seedOf(values.seed),
    jobs: positive('--jobs', values.jobs, 2),
    targets,
    replay: values.replay ?? null,
    list: values.list ?? false,
    help: values.help ?? false,
  }
}

function positive(option: string, text: string | undefined, standard: number): number {
  if (text === undefined) return standard
  const value = Number(text)
  if (!(value > 0)) throw new Error(`${option} has to be a number above 0, not ${JSON.stringify(text)}`)
  return value
}

function seedOf(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new Error(`--seed has to be a whole number below 2^32, not ${JSON.stringify(text)}`)
  }
  return value
}
