/** In which order nodes start. */
import type { LabNode } from './topology.ts'

/** @returns names along a circle, the first again at the end; null if nobody waits for himself */
export function dependencyCircle(nodes: readonly LabNode[]): string[] | null {
  const needs = new Map(nodes.map(node => [node.name, node.dependsOn.map(one => one.node)]))
  const done = new Set<string>()
  const visit = (name: string, trail: readonly string[]): string[] | null => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (done.has(name)) return null
    for (const next of needs.get(name) ?? []) {
      const circle = visit(next, [...trail, name])
      if (circle !== null) return circle
    }
    done.add(name)
    return null
  }
  for (const node of nodes) {
    const circle = visit(node.name, [])
    if (circle !== null) return circle
  }
  return null
}

/** Nodes in groups: each group waits for nobody but members of earlier ones, and may start at once. */
export function startingWaves(nodes: readonly LabNode[]): LabNode[][] {
  const waves: LabNode[][] = []
  const started = new Set<string>()
  for (let rest = [...nodes]; rest.length > 0; ) {
    const ready = rest.filter(node => node.dependsOn.every(one => started.has(one.node)))
    if (ready.length === 0) throw new RangeError('nodes wait for each other')
    for (const node of ready) started.add(node.name)
    rest = rest.filter(node => !started.has(node.name))
    waves.push(ready)
  }
  return waves
}
