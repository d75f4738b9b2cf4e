/** The figures of any report of `putnext bench`, by name, so that two runs can be laid side by side. */
import { StackError } from '../base/errors.ts'
import { COPIES_FIGURES, COPIES_VERSION, type CopiesFigure, type CopiesResult } from './copies-result.ts'
import type { Machine } from './machine.ts'
import type { ModulesReport } from './modules.ts'
import type { Requirement } from './requirements.ts'
import type { Summary } from './statistics.ts'
import type { TcpReport } from './tcp-report.ts'
import type { UdpInprocReport } from './udp-inproc.ts'
import type { UdpNamespaceReport } from './udp-report.ts'

/** Which way a figure should go; null where that is nobody's business. */
export type Better = 'more' | 'less' | null

export interface ComparedFigure {
  /** What finds it in another run, whatever its arm is called there. */
  readonly key: string
  /** For people: `chains: throughput, Gbit/s`. */
  readonly name: string
  readonly better: Better
  readonly summary: Summary
}

/** Something that a run decided. */
export interface Conclusion {
  readonly key: string
  readonly name: string
  readonly verdict: string
}

export type BenchReport = CopiesResult | ModulesReport | TcpReport | UdpInprocReport | UdpNamespaceReport

/** What every report has. */
export interface ReportHead {
  readonly kind: string
  readonly machine: Machine
  readonly rounds: number
  readonly seconds: number
}

const KINDS: readonly string[] = ['copies', 'modules', 'rpc', 'tcp', 'udp']

/**
 * @param document - what `putnext bench … --json` wrote, with its envelope or without
 * @throws StackError `ERR_BAD_ARGUMENT` if it is something else
 */
export function reportIn(document: unknown, name: string): BenchReport {
  const inner = (document as { readonly result?: unknown } | null)?.result
  const report = (inner ?? document) as Partial<ReportHead> | null
  if (!KINDS.includes(report?.kind ?? '')) {
    const hint = 'it takes what putnext bench copies, modules, rpc, tcp or udp wrote with --json'
    throw new StackError('ERR_BAD_ARGUMENT', `${name} is not a report of putnext bench`, { hint })
  }
  const version = (report as Partial<CopiesResult> | null)?.version
  if (report?.kind === 'copies' && version !== COPIES_VERSION)
    throw new StackError('ERR_BAD_ARGUMENT', `${name} is of version ${version}, not ${COPIES_VERSION}`, {
      hint: 'take it again with this version of putnext',
    })
  return report as BenchReport
}

export function figuresOf(report: BenchReport): ComparedFigure[] {
  const found = everyFigure(report)
  // A figure that a run could not take is not there.
  return found.filter(({ summary }) => Number.isFinite(summary.median))
}

function everyFigure(report: BenchReport): ComparedFigure[] {
  switch (report.kind) {
    case 'copies':
      return ofCopies(report)
    case 'modules':
      return ofModules(report)
    case 'rpc':
    case 'tcp':
      return ofTcp(report)
    case 'udp':
      return report.mode === 'inproc' ? ofUdp([report]) : ofUdp(report.candidates)
  }
}

function copiesFigure(key: string, where: string, name: CopiesFigure, summary: Summary): ComparedFigure {
  const { title, unit, better } = COPIES_FIGURES[name]
  return { key: `${key} ${name}`, name: `${where}: ${title}, ${unit}`, better, summary }
}

const nanoseconds = (name: string, summary: Summary): ComparedFigure => ({
  key: name,
  name: `${name}, ns`,
  better: 'less',
  summary,
})

function ofCopies({ arms, series, operations, moduleSlope, messageBytes }: CopiesResult): ComparedFigure[] {
  // An arm has what its line has at this size.
  const isTold = (id: string, figure: CopiesFigure, x: number): boolean =>
    x === messageBytes && arms.some(arm => arm.id === id && arm.figures[figure] !== undefined)
  return [
    ...arms.flatMap(({ id, title, figures }) =>
      Object.entries(figures).map(([name, summary]) =>
        copiesFigure(id, `${title} (${messageBytes} bytes)`, name as CopiesFigure, summary),
      ),
    ),
    ...series.flatMap(({ id, figure, x, lines }) =>
      lines.flatMap(({ id: lineId, title, points }) =>
        points.flatMap(point => {
          if (isTold(lineId, figure, point.x)) return []
          const where = `${title} (${point.x} ${x.unit === '' ? x.title : x.unit})`
          return [copiesFigure(`${id} ${lineId} ${point.x}`, where, figure, point.y)]
        }),
      ),
    ),
    ...operations.map(({ name, nanoseconds: summary }) => nanoseconds(name, summary)),
    ...(moduleSlope === null ? [] : [nanoseconds('each module', moduleSlope)]),
  ]
}

function ofModules({ points, slope, operations }: ModulesReport): ComparedFigure[] {
  return [
    ...points.map(({ modules, nanoseconds: summary }) => nanoseconds(`through ${modules} modules`, summary)),
    nanoseconds('each module', slope),
    ...operations.map(({ name, nanoseconds: summary }) => nanoseconds(name, summary)),
  ]
}

/** Figures of `bench tcp` and `rpc` have their unit in the name, and nothing else says which way is better. */
export function betterOf(name: string): Better {
  if (name.startsWith('their ')) return null
  return /bit\/s|connections\/s|calls\/s|index/i.test(name) ? 'more' : 'less'
}

function ofTcp({ scenarios }: TcpReport): ComparedFigure[] {
  return scenarios.flatMap(scenario =>
    scenario.arms.flatMap(arm =>
      Object.entries(arm.figures).map(([name, summary]) => ({
        key: `${scenario.name} ${arm.name} ${name}`,
        name: `${scenario.name}, ${arm.title}: ${name}`,
        better: betterOf(name),
        summary,
      })),
    ),
  )
}

const UDP_FIGURES: readonly (readonly [string, string, Better])[] = [
  ['windowPerSecond', 'in a window, datagrams/s', 'more'],
  ['pingpongPerSecond', 'in turns, datagrams/s', 'more'],
  ['pingpongP50Us', 'in turns, p50 µs', 'less'],
  ['pingpongP99Us', 'in turns, p99 µs', 'less'],
  ['pingpongP999Us', 'in turns, p99.9 µs', 'less'],
]

/** Whatever has figures of `bench udp`: candidates, or a whole report without any. */
function ofUdp(candidates: readonly object[]): ComparedFigure[] {
  return candidates.flatMap(candidate => {
    const given = candidate as Readonly<Record<string, Summary | undefined>> & { readonly title?: string }
    const where = given.title ?? 'two stacks in one process'
    return UDP_FIGURES.flatMap(([key, title, better]) => {
      const summary = given[key]
      return summary === undefined
        ? []
        : [{ key: `${where} ${key}`, name: `${where}: ${title}`, better, summary }]
    })
  })
}

/** What was required, and what was compared within the run. */
export function conclusionsOf(report: BenchReport): Conclusion[] {
  const required = (report.requirements as readonly Pick<Requirement, 'name' | 'verdict'>[]).map(
    ({ name, verdict }) => ({ key: name, name, verdict }),
  )
  if (report.kind !== 'copies') return required
  const steps = report.comparisons.map(({ arm, against, step, verdict }) => ({
    key: `${arm}/${against}`,
    name: `${arm} over ${against}: ${step}`,
    verdict,
  }))
  return [...required, ...steps]
}
