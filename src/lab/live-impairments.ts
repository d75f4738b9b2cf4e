/** Impairments changed while a lab runs, through the control ports of its nodes. */
import { StackError } from '../base/errors.ts'
import { parseImpairOptions } from '../driver/impair-options.ts'
import { ControlClient } from '../node/control-client.ts'
import { IMPAIR_FAULT, type ImpairModule, impairModules } from './impairments.ts'
import type { JournalSummary } from './journal.ts'
import { NODE_LINK } from './node-file.ts'
import type { RunningLab } from './running-lab.ts'
import type { ImpairInput } from './schema.ts'
import type { LabLink, LabNode, Topology } from './topology.ts'

const IMPAIR = 'impair'
/** How a node calls its instances of it: the second is `impair#2`. */
const IMPAIR_LABEL = /^impair(?:#\d+)?$/

/** A lab as it is now: with what links were changed to since it came up. */
export function asImpairedNow(topology: Topology, summary: JournalSummary): Topology {
  const links = topology.links.map((link): LabLink => {
    const changed = summary.faults.get(`${IMPAIR_FAULT}${link.name}`)
    return changed === undefined ? link : { ...link, impair: changed as ImpairInput | null }
  })
  return { ...topology, links }
}

/**
 * Makes a link bad, or differently bad; what it did before no longer holds.
 * @throws StackError `ERR_BAD_CONFIG` for options that are wrong, `ERR_NOT_SUPPORTED` for a link without a stack at its ends
 */
export async function impairLink(lab: RunningLab, name: string, impair: ImpairInput): Promise<void> {
  parseImpairOptions(impair)
  const link = lab.link(name)
  const hosts = link.ends.filter(end => lab.node(end.node).kind === 'linux')
  if (hosts.length > 1) {
    throw new StackError('ERR_NOT_SUPPORTED', `${link.name} joins kernel hosts, and only stacks impair`, {
      hint: 'lab fault down cuts any link',
    })
  }
  await change(lab, link, impair)
}

/** Makes a link good, also if its file had it bad. */
export async function clearImpairment(lab: RunningLab, name: string): Promise<void> {
  await change(lab, lab.link(name), null)
}

async function change(lab: RunningLab, link: LabLink, impair: ImpairInput | null): Promise<void> {
  const before = asImpairedNow(lab.topology, lab.summary())
  const links = before.links.map(one => (one.name === link.name ? { ...one, impair } : one))
  const after: Topology = { ...before, links }
  for (const node of lab.topology.nodes) {
    // A node that does not run reads the journal when it is started again.
    if (node.kind !== 'stack' || lab.process(node.name) === null) continue
    await changeNode(lab, node, impairModules(before, node), impairModules(after, node))
  }
  lab.record(journal => journal.write({ kind: 'fault', what: `${IMPAIR_FAULT}${link.name}`, value: impair }))
}

function sameShape(before: readonly ImpairModule[], after: readonly ImpairModule[]): boolean {
  return (
    before.length === after.length &&
    before.every((one, i) => one.link === after[i]!.link && one.direction === after[i]!.direction)
  )
}

/** The lab's instances stand lowest on the link, in the order of the topology. */
async function changeNode(
  lab: RunningLab,
  node: LabNode,
  before: readonly ImpairModule[],
  after: readonly ImpairModule[],
): Promise<void> {
  if (before.length + after.length === 0) return
  const client = new ControlClient(lab.directory.socket(node.name))
  const { streams } = await client.plumbing()
  const modules =
    streams.find(one => one.name === NODE_LINK)?.instances.filter(one => one.kind === 'module') ?? []
  const ours = modules
    .filter(one => IMPAIR_LABEL.test(one.label))
    .slice(-before.length || Number.POSITIVE_INFINITY)
  if (sameShape(before, after) && ours.length === after.length) {
    for (const [i, { options }] of after.entries())
      await client.change({
        op: 'configure',
        stream: NODE_LINK,
        module: ours[i]!.label,
        options: { ...options, reset: true },
      })
    return
  }
  // From below, since labels are numbers: impair#2 is called impair when the first is gone.
  for (const { label } of [...ours].reverse())
    await client.change({ op: 'remove', stream: NODE_LINK, module: label })
  const above = modules.filter(one => !ours.includes(one)).at(-1)?.label ?? 'head'
  for (const { options } of [...after].reverse())
    await client.change({ op: 'insert', stream: NODE_LINK, module: IMPAIR, below: above, options })
}
