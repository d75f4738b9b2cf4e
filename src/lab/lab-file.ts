/** Reads a lab file: YAML, shape, meaning; what is wrong is told with line and column. */
import { StackError } from '../base/errors.ts'
import { readConfigText } from '../node/config.ts'
import { ConfigError, ConfigFile } from '../node/yaml-reader.ts'
import { expandLab } from './expand.ts'
import { checkNode } from './node-check.ts'
import { labSchema } from './schema.ts'
import type { LabMode, Topology } from './topology.ts'

export interface LabFileOptions {
  /** Instead of the file's own mode. */
  readonly mode?: string
  /** Instead of the file's own seed. */
  readonly seed?: number
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
  // Only a lab that fits together makes node files to be checked.
  const all =
    complaints.length > 0
      ? complaints
      : topology.nodes.filter(node => node.kind === 'stack').flatMap(node => checkNode(topology, node))
  if (all.length > 0) {
    const problems = all.map(({ path, message }) => file.problem(path, message))
    throw new ConfigError(name, problems)
  }
  return options.seed === undefined ? topology : { ...topology, seed: options.seed }
}

/** @throws {@link StackError} what `readConfigText` and {@link parseLab} throw */
export function readLab(path: string, options: LabFileOptions = {}): Topology {
  return parseLab(path, readConfigText(path), options)
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
