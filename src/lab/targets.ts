/** What a word on a command line means: a lab by its name or its file, a node or a link of a lab. */
import { existsSync } from 'node:fs'
import { StackError } from '../base/errors.ts'
import { didYouMean } from '../node/did-you-mean.ts'
import { knownLabs, LabDirectory } from './lab-directory.ts'
import { readLab } from './lab-file.ts'
import type { Topology } from './topology.ts'

export function looksLikeFile(word: string): boolean {
  return word.includes('/') || /\.ya?ml$/.test(word)
}

/** @param word - `pair`, or the path of a lab file */
export function labNameOf(word: string): string {
  return looksLikeFile(word) && existsSync(word) ? readLab(word).name : word
}

export interface Target {
  readonly lab: string
  readonly name: string
}

/**
 * @param word - `LAB/NAME`, or `NAME` if only one lab has it
 * @param namesIn - the names that a lab has
 * @throws StackError `ERR_NOT_FOUND`, naming what there is
 */
function resolve(
  word: string,
  what: string,
  namesIn: (topology: Topology) => string[],
  state?: string,
): Target {
  const slash = word.indexOf('/')
  const name = word.slice(slash + 1)
  const labs = slash < 0 ? knownLabs(state) : [word.slice(0, slash)]
  const known = labs.flatMap(lab => {
    const topology = new LabDirectory(lab, state).readTopology()
    return topology === null ? [] : namesIn(topology).map(one => ({ lab, name: one }))
  })
  const found = known.filter(one => one.name === name)
  if (found.length === 1) return found[0]!
  if (found.length > 1) {
    throw new StackError('ERR_NOT_FOUND', `more than one lab has a ${what} ${name}`, {
      hint: `say which: ${found.map(one => `${one.lab}/${one.name}`).join(', ')}`,
    })
  }
  throw new StackError('ERR_NOT_FOUND', `no lab that is up has a ${what} ${word}`, {
    hint:
      known.length === 0
        ? 'bring a lab up with: putnext lab up FILE'
        : didYouMean(
            name,
            known.map(one => one.name),
          ),
  })
}

/** @throws StackError `ERR_NOT_FOUND` */
export function resolveLabNode(word: string, state?: string): Target {
  return resolve(word, 'node', topology => topology.nodes.map(node => node.name), state)
}

/** A pair is also found with its ends turned round. @throws StackError `ERR_NOT_FOUND` */
export function resolveLabLink(word: string, state?: string): Target {
  const names = (topology: Topology): string[] =>
    topology.links.flatMap(link => {
      const turned = link.name.split('--').reverse().join('--')
      return link.kind === 'pair' && turned !== link.name ? [link.name, turned] : [link.name]
    })
  return resolve(word, 'link', names, state)
}
