/** `putnext module check`: the compliance suite on a module file. */

import { StackError } from '../base/errors.ts'
import { loadModuleFile } from '../node/module-loader.ts'
import { type AnyModule, isDriver } from '../streams/module.ts'
import { type ComplianceOptions, moduleCompliance } from '../streams/testing/compliance.ts'
import type { CommandRun, Invocation } from './command.ts'
import { EXIT_CHECK_FAILED, EXIT_DONE, UsageError } from './exit-codes.ts'

/** What became of one rule. */
interface CaseResult {
  readonly module: string
  readonly rule: string
  readonly ok: boolean
  /** What was wrong; '' if nothing. */
  readonly problem: string
}

export const moduleCheck: CommandRun = async invocation => {
  const { args, out } = invocation
  const file = args.required('FILE')
  const { modules, exported } = await loadModuleFile(file)
  const options = complianceOptions(exported['compliance'], args.string('options'))
  const pushable = modules.filter(info => !isDriver(info))
  if (pushable.length === 0)
    throw new StackError('ERR_NOT_SUPPORTED', `${file} exports drivers only; the suite is for modules`)
  const results = pushable.flatMap(info => checkModule(invocation, info, options))
  const broken = results.filter(({ ok }) => !ok).length
  const verdict =
    broken === 0 ? `all ${results.length} rules kept` : `${broken} of ${results.length} rules broken`
  out.report({ file, results, broken }, verdict)
  return broken === 0 ? EXIT_DONE : EXIT_CHECK_FAILED
}

function checkModule({ out }: Invocation, info: AnyModule, options: ComplianceOptions): CaseResult[] {
  out.line(`${info.name}:`)
  return moduleCompliance(() => info, options).map(({ name: rule, run }) => {
    const problem = problemOf(run)
    const mark = problem === '' ? out.style('green', 'ok  ') : out.style('red', 'FAIL')
    out.line(`  ${mark} ${rule}`)
    if (problem !== '') out.line(`       ${problem}`)
    return { module: info.name, rule, ok: problem === '', problem }
  })
}

function problemOf(run: () => void): string {
  try {
    run()
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function complianceOptions(exported: unknown, given: string | undefined): ComplianceOptions {
  if (exported !== undefined && (typeof exported !== 'object' || exported === null))
    throw new StackError(
      'ERR_BAD_CONFIG',
      'the export "compliance" must be an object: {open, bad, transparent}',
    )
  const options = (exported ?? {}) as ComplianceOptions
  if (given === undefined) return options
  try {
    return { ...options, open: JSON.parse(given) as unknown }
  } catch {
    throw new UsageError('--options is no JSON')
  }
}
