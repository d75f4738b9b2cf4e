/** What a run of `bench copies` says, in sentences. All of them come from the figures: nothing here knows what should come out. */
import type {
  CopiesArm,
  CopiesComparison,
  CopiesCrossover,
  CopiesFigure,
  CopiesRequirement,
  CopiesResult,
  Order,
} from '../copies-result.ts'
import { COPIES_FIGURES } from '../copies-result.ts'
import { type Ratio, ROUNDS_MIN, type Summary } from '../statistics.ts'
import { bytesText } from './axis.ts'
import { armName } from './copies-arms.ts'
import { digits, rangeText, readAlike } from './numbers.ts'

/** `3.14 Gbit/s (3.05 to 3.2)` */
export function valueText({ median, min, max }: Summary, unit = ''): string {
  const range = readAlike(min, max) ? '' : ` (${rangeText(min, max)})`
  return `${digits(median)}${unit === '' ? '' : ` ${unit}`}${range}`
}

/** `1.47 times (1.43 to 1.53)` */
export const timesText = ({ medianOfRatios, min, max }: Ratio): string =>
  `${digits(medianOfRatios)} times (${rangeText(min, max)})`

/** `a, b and c` */
export const listText = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`

const ORDER_TEXTS: Readonly<Record<Exclude<Order, 'unclear'>, string>> = {
  faster: 'faster in every round',
  slower: 'slower in every round',
}

/** What a verdict is worth in words. @param rounds - of what was compared: of some sizes a busy machine takes fewer than of others */
export function orderText(order: Order, rounds: number): string {
  if (order !== 'unclear') return ORDER_TEXTS[order]
  return rounds < ROUNDS_MIN
    ? `cannot tell: ${rounds} ${rounds === 1 ? 'round decides' : 'rounds decide'} nothing`
    : 'cannot tell: the rounds contradict each other'
}

/** Sizes at which nobody can tell, by why not. */
function unclearSizes(ratios: CopiesCrossover['ratios']): { readonly sizes: string; readonly why: string }[] {
  const found = new Map<string, string[]>()
  for (const { bytes, ratio, verdict } of ratios) {
    if (verdict !== 'unclear') continue
    const why = orderText(verdict, ratio.samples.length)
    found.set(why, [...(found.get(why) ?? []), bytesText(bytes)])
  }
  return [...found].map(([why, sizes]) => ({ sizes: listText(sizes), why }))
}

export const titlesOf = ({ arms, missing }: CopiesResult): Map<string, string> =>
  new Map([...arms, ...missing].map(({ id, title }) => [id, title]))

/** Arms with a figure, from the smallest median to the largest. */
function byMedian(arms: readonly CopiesArm[], name: CopiesFigure): { arm: CopiesArm; summary: Summary }[] {
  return arms
    .flatMap(arm => {
      const summary = arm.figures[name]
      return summary === undefined || !Number.isFinite(summary.median) ? [] : [{ arm, summary }]
    })
    .sort((a, b) => a.summary.median - b.summary.median)
}

/** The ends of a figure over all arms, and whether the arms differ at all. */
export function extremesSay(result: CopiesResult, name: CopiesFigure): string[] {
  const found = byMedian(result.arms, name)
  const [first, last] = [found[0], found.at(-1)]
  const { title, unit } = COPIES_FIGURES[name]
  if (first === undefined || last === undefined) return [`Not counted in this run: ${title}.`]
  const titles = titlesOf(result)
  const named = ({ arm, summary }: typeof first): string =>
    `${valueText(summary, unit)} with ${armName(arm.id, titles)}`
  if (found.length === 1) return [`Counted for one arm only: ${title}, ${named(first)}.`]
  const highestMin = Math.max(...found.map(({ summary }) => summary.min))
  const lowestMax = Math.min(...found.map(({ summary }) => summary.max))
  const same =
    highestMin <= lowestMax ? ' The ranges of all arms overlap: this run cannot tell them apart.' : ''
  return [`${upper(title)}: from ${named(first)} to ${named(last)}.${same}`]
}

export const upper = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Which run this is. */
export function takenSay({ machine, rounds, mode, quick, commit, method }: CopiesResult): string[] {
  const { processor, processors, kernel, node, startedAt } = machine
  const where = mode === 'tun' ? 'over a TUN device' : 'without a device, two stacks in one process'
  const of = commit === null ? '' : ` of commit ${commit.slice(0, 12)}`
  return [
    `${quick ? 'A quick run' : 'A run'}${of} on ${startedAt.slice(0, 10)}, ${rounds} rounds, ${where}: ${processor}, ${processors} processors, Linux ${kernel}, Node ${node}.`,
    // The sample that reports are tried on says so itself.
    ...method.filter(text => text.includes('made up')),
  ]
}

/** Which run this is, and what it warns of. */
export const runSay = (result: CopiesResult): string[] => [
  ...takenSay(result),
  ...(result.warnings.length === 0 ? [] : [`It warns: ${result.warnings.join('; ')}.`]),
]

export function throughputSay(result: CopiesResult): string[] {
  const own = byMedian(
    result.arms.filter(({ check }) => check !== null),
    'gbitPerSecond',
  )
  const [least, most] = [own[0], own.at(-1)]
  if (least === undefined || most === undefined) return ['No arm was measured.']
  const said = ({ arm, summary }: typeof least): string =>
    `(${arm.id}) ${arm.title}, ${valueText(summary, 'Gbit/s')}`
  const second = own.at(-2)
  const close =
    second !== undefined && second.summary.max >= most.summary.min
      ? ` The rounds of (${most.arm.id}) overlap with those of (${second.arm.id}).`
      : ''
  const beside = byMedian(
    result.arms.filter(({ check }) => check === null),
    'gbitPerSecond',
  ).map(({ arm, summary }) => `${arm.title} ${valueText(summary, 'Gbit/s')}`)
  return [
    `With messages of ${bytesText(result.messageBytes)} the most is moved by ${said(most)}; the least by ${said(least)}.${close}`,
    ...(beside.length === 0 ? [] : [`Beside the experiment: ${listText(beside)}.`]),
  ]
}

/** One step of the experiment, as a sentence. */
export function comparisonSay(comparison: CopiesComparison, result: CopiesResult): string {
  const { arm, against, step, ratio, verdict, user } = comparison
  const titles = titlesOf(result)
  const [one, other] = [armName(arm, titles), armName(against, titles)]
  const cost = user === null ? '' : ` Outside the kernel a byte takes ${timesText(user)} the processor time.`
  return `${upper(step)}: ${one} moves ${timesText(ratio)} as much as ${other}; ${orderText(verdict, ratio.samples.length)}.${cost}`
}

/** Where copying is cheaper, where it is not, and what lies between. */
export function crossoverSay({ crossover, mode }: CopiesResult): string[] {
  if (crossover === null) return ['A write that copies was not compared with one that does not.']
  const { bytes, copyWinsUpTo, ratios } = crossover
  const at = (size: number | null): Ratio | undefined => ratios.find(one => one.bytes === size)?.ratio
  const said: string[] = []
  const loses = ratios.filter(({ verdict }) => verdict === 'slower')
  const worst = loses[0]
  if (copyWinsUpTo !== null && worst !== undefined)
    said.push(
      `Up to ${bytesText(copyWinsUpTo)} copying is cheaper in every round: with messages of ${bytesText(worst.bytes)} a write that copies takes ${timesText(worst.ratio)} the time of one that does not.`,
    )
  else said.push('At no size that was measured is copying cheaper in every round.')
  const from = at(bytes)
  const last = ratios.at(-1)
  if (bytes === null || from === undefined || last === undefined)
    said.push('At no size, and from there on, does not copying win in every round.')
  else {
    const largest = last.bytes === bytes ? '' : `, ${timesText(last.ratio)} at ${bytesText(last.bytes)}`
    said.push(
      `From ${bytesText(bytes)} on not copying wins in every round: the copy takes ${timesText(from)} the time at ${bytesText(bytes)}${largest}.`,
    )
  }
  for (const { sizes, why } of unclearSizes(ratios)) said.push(`At ${sizes}: ${why}.`)
  if (mode === 'wire')
    said.push('This run had no device, so the copy into the kernel is in neither of the two.')
  return said
}

export function copiedSay(result: CopiesResult): string[] {
  // What the kernel copies is not the program's doing.
  const places = (Object.keys(COPIES_FIGURES) as CopiesFigure[]).filter(
    name => name.startsWith('copied') && !name.endsWith('Kernel'),
  )
  const counted = result.arms.filter(({ figures }) => places.some(place => figures[place] !== undefined))
  const most = (arm: CopiesArm): number =>
    places.reduce((sum, place) => sum + (arm.figures[place]?.max ?? 0), 0)
  const sum = (arm: CopiesArm): number =>
    places.reduce((total, place) => total + (arm.figures[place]?.median ?? 0), 0)
  if (counted.length === 0) return ['Copies were not counted in this run.']
  const none = counted.filter(arm => most(arm) === 0)
  const some = counted.filter(arm => most(arm) > 0)
  const copying = some.map(arm => `${digits(sum(arm))} in (${arm.id})`)
  return [
    none.length === 0
      ? 'No arm does without copies in user space.'
      : `${listText(none.map(({ id }) => `(${id})`))} copied nothing in user space in any round, by the counters.`,
    ...(copying.length === 0
      ? []
      : [`Bytes copied in user space for each byte delivered: ${listText(copying)}.`]),
  ]
}

export function modulesSay({ moduleSlope }: CopiesResult): string[] {
  return moduleSlope === null
    ? ['Modules were not measured in this run.']
    : [`A module that does nothing costs ${valueText(moduleSlope, 'ns')} a message: the slope of the line.`]
}

export function operationsSay({ operations }: CopiesResult): string[] {
  const timed = (part: string): Summary | undefined =>
    operations.find(({ name }) => name.includes(part))?.nanoseconds
  const dup = timed('dupb')
  const copies = operations.filter(({ name }) => name.startsWith('copy of'))
  if (dup === undefined || copies.length === 0) return []
  const against = copies.map(
    ({ name, nanoseconds }) =>
      `${name.replace('copy of ', '')} ${digits(nanoseconds.median / dup.median)} times`,
  )
  return [
    `Sharing a block and giving it back takes ${valueText(dup, 'ns')}. Copying takes, against that: ${listText(against)} as long.`,
  ]
}

/** What was required of the run, with the reason where there is one. */
export function requirementSay({
  name,
  verdict,
  unit,
  measured,
  range,
  limit,
  why,
}: CopiesRequirement): string {
  const bound = 'atLeast' in limit ? `at least ${digits(limit.atLeast)}` : `at most ${digits(limit.atMost)}`
  const spread = range === null ? '' : ` (${rangeText(range[0], range[1])})`
  const told = { held: 'held', missed: 'missed', unclear: 'this run cannot tell' }[verdict]
  return `${name}: ${digits(measured)} ${unit}${spread}, required ${bound}: ${told}.${why === null ? '' : ` ${upper(why)}`}`
}

/** Comparisons in which one arm copies less than the other: the first copies less, or more. */
const COPY_STEPS: Readonly<Record<string, 'less' | 'more'>> = {
  'b/a': 'less',
  'd/c': 'less',
  'e/d': 'less',
  'e/c': 'less',
  'h/g': 'more',
  'q/p': 'more',
}

/** Where avoiding a copy did not pay, or nobody can tell: what an honest teacher says, too. */
export function lossesSay(result: CopiesResult): string[] {
  const { crossover, comparisons, rounds } = result
  const ofCopies = comparisons.filter(({ arm, against }) => COPY_STEPS[`${arm}/${against}`] !== undefined)
  if (crossover === null && ofCopies.length === 0) return ['This run did not ask.']
  const said: string[] = []
  const ratios = crossover?.ratios ?? []
  const lost = listText(ratios.filter(one => one.verdict === 'slower').map(one => bytesText(one.bytes)))
  if (lost !== '')
    said.push(
      `At the program's edge it loses with messages of ${lost}: a write that copies is cheaper there than one that hands its memory over.`,
    )
  for (const { sizes, why } of unclearSizes(ratios))
    said.push(`At the program's edge, with messages of ${sizes}: ${why}.`)
  const titles = titlesOf(result)
  for (const { arm, against, step, ratio, verdict } of ofCopies) {
    const pair = `${upper(step)}, ${armName(arm, titles)} over ${armName(against, titles)}: ${timesText(ratio)} the throughput`
    const wins = COPY_STEPS[`${arm}/${against}`] === 'less' ? 'faster' : 'slower'
    if (verdict === 'unclear') said.push(`${pair}; ${orderText(verdict, ratio.samples.length)}.`)
    else if (verdict !== wins) said.push(`${pair}: the side that copies more was faster in every round.`)
  }
  if (said.length > 0) return said
  return [
    `In this run it did not lose: the side that copies less was faster in all ${rounds} rounds, in every step and at every size that was measured.`,
  ]
}
