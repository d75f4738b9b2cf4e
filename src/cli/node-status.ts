/** `putnext node status` and `putnext node stop`. */
import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { StackError } from '../base/errors.ts'
import { servicesText } from '../node/config-services.ts'
import { ControlClient } from '../node/control-client.ts'
import type { NodeStatus } from '../node/node.ts'
import { knownNodes, resolveNode } from '../node/state-dir.ts'
import type { CommandRun, Invocation } from './command.ts'
import { nodeClient } from './node-target.ts'

const STOP_POLL_MS = 50
const STOP_TIMEOUT_MS = 10_000

export const nodeStatus: CommandRun = async invocation => {
  const { args, out } = invocation
  if (args.optional('NODE') === undefined) return allNodes(invocation)
  const client = nodeClient(invocation)
  const status = await client.status()
  const events = args.flag('events') ? await client.events() : undefined
  out.report(events === undefined ? status : { ...status, events }, () => {
    const lines = statusLines(status)
    for (const { time, level, name, text } of events ?? []) lines.push(`  ${time} ${level} ${name}: ${text}`)
    return lines.join('\n')
  })
}

function statusLines(status: NodeStatus): string[] {
  const { name, version, pid, uptimeSeconds, arena, services } = status
  return [
    `${name}: putnext ${version}, process ${pid}, up ${uptimeSeconds.toFixed(1)} s`,
    ...status.links.map(
      ({ name: link, driver, addresses, modules, state }) =>
        `  link ${link} (${driver}): ${state}; ${addresses.join(', ') || 'no address'}${modules.length === 0 ? '' : `; modules ${modules.join(', ')}`}`,
    ),
    `  services: ${servicesText(services)}`,
    `  arena: ${arena.blocksInUse} blocks in use, ${Math.round(arena.bytes / 1024 / 1024)} MiB`,
  ]
}

async function allNodes({ out, host }: Invocation): Promise<void> {
  const found: { name: string; status: NodeStatus | null }[] = []
  for (const name of knownNodes(host.env)) {
    const client = new ControlClient(resolveNode(name, host.env))
    found.push({ name, status: await client.status().catch(() => null) })
  }
  const nodes = found.map(({ name, status }) => ({ name, alive: status !== null, status }))
  out.report({ nodes }, () => {
    if (nodes.length === 0) return 'no node is running'
    return nodes
      .map(({ name, status }) =>
        status === null
          ? `${name}: dead`
          : `${name}: process ${status.pid}, up ${status.uptimeSeconds.toFixed(1)} s`,
      )
      .join('\n')
  })
}

export const nodeStop: CommandRun = async invocation => {
  const { out, signal } = invocation
  const client = nodeClient(invocation)
  const { name } = await client.status()
  await client.shutdown()
  // The socket goes when the node has ended.
  for (let waited = 0; existsSync(client.path); waited += STOP_POLL_MS) {
    if (waited > STOP_TIMEOUT_MS) throw new StackError('ERR_TIMED_OUT', `${name} does not end`)
    await delay(STOP_POLL_MS, undefined, { signal })
  }
  out.report({ name, ended: true }, `${name} ended`)
}
