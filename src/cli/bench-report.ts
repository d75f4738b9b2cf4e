/** `putnext bench report` and `putnext bench compare`: what is done with measurements that were taken. */
import { constants } from 'node:fs'
import { access, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { StackError } from '../base/errors.ts'
import type { CopiesResult } from '../bench/copies-result.ts'
import type { CommandRun } from './command.ts'
import { EXIT_CHECK_FAILED, EXIT_DONE } from './exit-codes.ts'

export const benchReport: CommandRun = async ({ args, out }) => {
  const { reportIn } = await import('../bench/compare-figures.ts')
  const file = args.required('FILE')
  const report = reportIn(await readJson(file), file)
  if (report.kind !== 'copies') {
    const hint = `putnext bench ${report.kind} prints its own; putnext bench compare takes two of them`
    throw new StackError(
      'ERR_BAD_ARGUMENT',
      `${file} is of bench ${report.kind}: only bench copies is drawn`,
      { hint },
    )
  }
  const to = args.string('output')
  const page = await copiesPageOf(report)
  if (to !== undefined) await writePage(to, page)
  out.report({ file: to ?? null, bytes: Buffer.byteLength(page) }, to === undefined ? page.trimEnd() : '')
  if (to !== undefined) out.note(`report: ${to}`)
}

export const benchCompare: CommandRun = async ({ args, out }) => {
  const { compareRuns } = await import('../bench/compare.ts')
  const { comparisonText } = await import('../bench/compare-text.ts')
  const names = [args.required('A'), args.required('B')] as const
  const [a, b] = await Promise.all(names.map(readJson))
  const percent = args.number('tolerance')
  const comparison = compareRuns(a, b, {
    names,
    ...(percent === undefined ? {} : { tolerance: percent / 100 }),
  })
  out.report(comparison, () => comparisonText(comparison, args.flag('all')))
  for (const warning of comparison.warnings) out.warn(warning)
  const isWorse = comparison.rows.some(({ change }) => change === 'worse')
  return isWorse && args.flag('check') ? EXIT_CHECK_FAILED : EXIT_DONE
}

/** The report of a run as a page; drawing is loaded only here. */
export async function copiesPageOf(result: CopiesResult): Promise<string> {
  const { copiesPage } = await import('../bench/report/copies-page.ts')
  return copiesPage(result)
}

/** Before a long measurement whose report goes there. @throws StackError `ERR_HOST` if it cannot be written */
export async function assertWritable(file: string): Promise<void> {
  try {
    const found = await stat(file).catch(() => null)
    if (found?.isDirectory()) throw new Error('it is a directory')
    await access(found === null ? dirname(file) : file, constants.W_OK)
  } catch (cause) {
    throw new StackError('ERR_HOST', `cannot write ${file}: ${(cause as Error).message}`, { cause })
  }
}

/** @throws StackError `ERR_HOST` if it cannot be written */
export async function writePage(file: string, page: string): Promise<void> {
  try {
    await writeFile(file, page)
  } catch (cause) {
    throw new StackError('ERR_HOST', `cannot write ${file}: ${(cause as Error).message}`, { cause })
  }
}

async function readJson(file: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new StackError('ERR_NOT_FOUND', `cannot read ${file}: ${(cause as Error).message}`, { cause })
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new StackError('ERR_BAD_ARGUMENT', `${file} is not JSON: ${(cause as Error).message}`, { cause })
  }
}
