/** `lab status`, `lab exec`, `lab logs`. */
import { existsSync, watch } from 'node:fs'
import { open } from 'node:fs/promises'
import { StackError } from '../base/errors.ts'
import { loadShim } from '../host/shim.ts'
import { execInNode } from '../lab/exec.ts'
import { readJournal, summarize } from '../lab/journal.ts'
import { knownLabs, LabDirectory } from '../lab/lab-directory.ts'
import { runInLab } from '../lab/privileges.ts'
import { conditionOf } from '../lab/prune.ts'
import { noSuchLab, RunningLab } from '../lab/running-lab.ts'
import { inprocStatus, isHealthy, type LabStatus, labStatus } from '../lab/status.ts'
import { labNameOf, resolveLabNode } from '../lab/targets.ts'
import type { CommandRun } from './command.ts'
import { EXIT_CHECK_FAILED, UsageError } from './exit-codes.ts'
import type { Output } from './output.ts'

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  return rows
    .map(row =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function statusText(status: LabStatus, out: Output): string {
  const nodes = status.nodes.map(node => [
    node.name,
    node.kind,
    node.healthy || node.state !== 'running' ? node.state : 'not healthy',
    node.pid === null ? '-' : String(node.pid),
    node.namespace,
    node.addresses.join(' '),
  ])
  const links = status.links.map(link => [
    link.name,
    link.state,
    link.ends.join(' '),
    link.impair === null
      ? ''
      : Object.entries(link.impair as object)
          .map(pair => pair.join(' '))
          .join(', '),
  ])
  const parts = [
    `${out.style('bold', status.name)} (${status.mode})`,
    table([['NODE', 'KIND', 'STATE', 'PID', 'NAMESPACE', 'ADDRESSES'], ...nodes]),
  ]
  if (links.length > 0) parts.push(table([['LINK', 'STATE', 'ENDS', 'IMPAIRED'], ...links]))
  if (status.partition !== null)
    parts.push(`partition: ${status.partition.map(group => group.join(',')).join(' | ')}`)
  return parts.join('\n')
}

export const labStatusCommand: CommandRun = async ({ args, out }) => {
  const word = args.optional('LAB')
  const names = word === undefined ? knownLabs() : [labNameOf(word)]
  if (word !== undefined && !new LabDirectory(names[0]!).exists) throw noSuchLab(names[0]!)
  const labs: unknown[] = []
  let healthy = true
  const texts: string[] = []
  for (const name of names) {
    const directory = new LabDirectory(name)
    const condition = conditionOf(directory, summarize(readJournal(directory.journal)))
    if (condition === 'coming up' || condition === 'half made') {
      labs.push({ name, condition })
      texts.push(`${out.style('bold', name)}: ${condition}`)
      healthy = false
      continue
    }
    const topology = directory.readTopology()!
    const status =
      topology.mode === 'inproc'
        ? await inprocStatus(directory, topology)
        : await labStatus(new RunningLab(name, loadShim()))
    healthy &&= isHealthy(status)
    labs.push({ condition, ...status })
    texts.push(statusText(status, out))
  }
  if (names.length === 0) out.note('no lab is up')
  out.report({ labs }, texts.join('\n\n'))
  return healthy ? undefined : EXIT_CHECK_FAILED
}

export const labExec: CommandRun = async ({ args, out, signal }) => {
  const { lab, name } = resolveLabNode(args.required('NODE'))
  if (args.rest.length === 0)
    throw new UsageError('the command is missing', `write: putnext lab exec ${name} -- COMMAND`)
  const again = runInLab(lab, signal)
  if (again !== null) {
    out.handOver()
    return await again
  }
  const running = new RunningLab(lab, loadShim())
  const exitCode = await execInNode(
    running,
    name,
    args.rest,
    signal,
    out.json ? ['inherit', 2, 2] : 'inherit',
  )
  out.report({ lab, node: name, command: args.rest, exitCode })
  return exitCode
}

export const labLogs: CommandRun = async ({ args, out, signal }) => {
  const { lab, name } = resolveLabNode(args.required('NODE'))
  const path = new LabDirectory(lab).log(name)
  if (!existsSync(path))
    throw new StackError('ERR_NOT_FOUND', `${lab}/${name} has said nothing`, {
      hint: 'kernel hosts speak only through their exec commands; nodes in one process, where lab up runs',
    })
  const file = await open(path, 'r')
  try {
    let position = 0
    let torn = ''
    const readOn = async (): Promise<string[]> => {
      const text = torn + (await readFrom(file, position))
      position += Buffer.byteLength(text) - Buffer.byteLength(torn)
      const lines = text.split('\n')
      torn = lines.pop()!
      return lines
    }
    const tell = (line: string): void => out.record({ lab, node: name, line }, line)
    const lines = await readOn()
    const count = args.number('lines')
    for (const line of count === undefined ? lines : lines.slice(Math.max(0, lines.length - count)))
      tell(line)
    if (!args.flag('follow')) {
      if (torn !== '') tell(torn)
      return
    }
    while (!signal.aborted && existsSync(path)) {
      for (const line of await readOn()) tell(line)
      await changed(path, signal)
    }
  } finally {
    await file.close()
  }
}

async function readFrom(file: Awaited<ReturnType<typeof open>>, position: number): Promise<string> {
  const { size } = await file.stat()
  if (size <= position) return ''
  const bytes = new Uint8Array(size - position)
  const { bytesRead } = await file.read(bytes, 0, bytes.length, position)
  return new TextDecoder().decode(bytes.subarray(0, bytesRead))
}

/** Until the file changes, half a second has passed, or the user has enough. */
function changed(path: string, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = (): void => {
      clearTimeout(timer)
      watcher.close()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const watcher = watch(path, end)
    watcher.on('error', end)
    const timer = setTimeout(end, 500)
    signal.addEventListener('abort', end, { once: true })
  })
}
