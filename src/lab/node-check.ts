/** What a lab file says of a node must also make a node file; mistakes are told where they stand in the lab file. */
import { checkNodeConfig } from '../node/config.ts'
import { ConfigError } from '../node/yaml-reader.ts'
import type { Complaint } from './expand.ts'
import { nodeConfigOf } from './node-file.ts'
import type { LabNode, Topology } from './topology.ts'

/** The keys of a node file that a lab file hands on, and what the lab calls them. */
const HANDED_ON: readonly (readonly [RegExp, string])[] = [
  [/^services(?:\.|$)/, 'services'],
  [/^links\[0\]\.modules(?:\.|\[|$)/, 'modules'],
  [/^links\[0\]\.mtu$/, 'mtu'],
]

/** @returns complaints about one stack node */
export function checkNode(topology: Topology, node: LabNode): Complaint[] {
  try {
    checkNodeConfig(nodeConfigOf(topology, node, { control: 'control', ipc: 'ipc' }))
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ where, message }) => {
      const key = HANDED_ON.find(([pattern]) => pattern.test(where))?.[1]
      const rest = where.replace(/^(?:links\[0\]\.)?\w+\.?/, '')
      const path = ['nodes', node.name, ...(key === undefined ? [] : [key])]
      return { path, message: rest === '' ? message : `${rest}: ${message}` }
    })
  }
}
