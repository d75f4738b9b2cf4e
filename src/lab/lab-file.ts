/** Reads a lab file: YAML, shape, meaning; what is wrong is told with line and column. */
import { dirname, resolve } from 'node:path'
import { StackError } from '../base/errors.ts'
import { readConfigText } from '../node/config.ts'
import { ConfigError, ConfigFile } from '../node/yaml-reader.ts'
import { expandLab } from './expand.ts'
import { checkNode } from './node-check.ts'
import { labSchema } from './schema.ts'
import type { LabMode, LabNode, Topology } from './topology.ts'

export interface LabFileOptions {
  /** Instead of the file's own mode. */
  readonly mode?: string
  /** Instead of the file's own seed. */
  readonly seed?: number
  /** What paths in the file are relative to; the working directory by default. */
  readonly directory?: string
}

/**
 * @param name - for messages
 * @throws {@link ConfigError} for a file that is wrong, `ERR_NOT_SUPPORTED` for mode `sim`
 */
export function parseLab(name: string, text: string, options: LabFileOptions = {}): Topology {
  const file = new ConfigFile(name, text)
  const input = file.check(labSchema)
  const mode = labMode(options.mode ?? input.mode)
  const { topology, complaints } = expandLab(input, mode)
  const placed = { ...topology, nodes: topology.nodes.map(node => withPlaces(node, options.directory)) }
  // Only a lab that fits together makes node files to be checked.
  const all =
    complaints.length > 0
      ? complaints
      : placed.nodes.filter(node => node.kind === 'stack').flatMap(node => checkNode(placed, node))
  if (all.length > 0) {
    const problems = all.map(({ path, message }) => file.problem(path, message))
    throw new ConfigError(name, problems)
  }
  return options.seed === undefined ? placed : { ...placed, seed: options.seed }
}

/** @throws {@link StackError} what `readConfigText` and {@link parseLab} throw */
export function readLab(path: string, options: LabFileOptions = {}): Topology {
  return parseLab(path, readConfigText(path), { directory: dirname(path), ...options })
}

/** The file of a node is written elsewhere than the lab's: paths in it are made whole. */
function withPlaces(node: LabNode, base = '.'): LabNode {
  const { files } = node.services
  if (typeof files !== 'object' || typeof files['directory'] !== 'string') return node
  const directory = resolve(base, files['directory'])
  return { ...node, services: { ...node.services, files: { ...files, directory } } }
}

function labMode(mode: string): LabMode {
  if (mode === 'netns' || mode === 'inproc') return mode
  if (mode === 'sim') {
    throw new StackError('ERR_NOT_SUPPORTED', 'the mode sim (virtual time) comes later', {
      hint: 'use --mode inproc for a lab without privileges',
    })
  }
  throw new StackError('ERR_BAD_ARGUMENT', `no mode is called ${mode}`, { hint: 'modes: netns, inproc' })
}
