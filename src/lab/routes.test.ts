import { describe, expect, it } from 'vitest'
import { behindLink, impairModules } from './impairments.ts'
import { parseLab } from './lab-file.ts'
import { pathsFrom, routesOf } from './routes.ts'
import { nodeOf, type Topology } from './topology.ts'

function lab(rest: string): Topology {
  return parseLab('lab.yaml', `version: 1\nname: x\n${rest}`)
}

const ROW = lab('nodes: {a: , b: , c: {kind: linux}}\nlinks: [a -- b, b -- c]')

describe('lab/routes', () => {
  it('a path has the fewest links; between equals the first in the file wins', () => {
    const ring = lab('nodes: {a: , b: , c: , d: }\nlinks: [a -- b, b -- c, c -- d, d -- a]')
    const names = (to: string): string[] =>
      pathsFrom(ring, 'a')
        .get(to)!
        .map(hop => hop.node)
    expect(names('d')).toEqual(['d'])
    expect(names('c')).toEqual(['b', 'c'])
  })

  it('a namespace has routes to every other node and every link that is not its own, both families', () => {
    expect(routesOf(ROW, nodeOf(ROW, 'a'))).toEqual([
      { to: '10.77.2.0/24', via: '10.76.0.2', device: 'eth0' },
      { to: 'fd77:2::/64', via: 'fd76:1::2', device: 'eth0' },
      { to: '10.77.3.2/32', via: '10.76.0.2', device: 'eth0' },
      { to: 'fd77:3::2/128', via: 'fd76:1::2', device: 'eth0' },
      { to: '10.76.0.4/30', via: '10.76.0.2', device: 'eth0' },
      { to: 'fd76:2::/64', via: 'fd76:1::2', device: 'eth0' },
    ])
  })

  it('routes of any two nodes lead to each other, hop by hop', () => {
    const star = lab(
      'nodes: {a: , b: , c: , d: {kind: linux}, e: }\nlinks: [a -- b, {segment: s, members: [b, c, d]}, d -- e]',
    )
    for (const from of star.nodes) {
      for (const to of star.nodes) {
        if (from === to) continue
        let here = from.name
        for (let hops = 0; here !== to.name; hops++) {
          expect(hops).toBeLessThan(5)
          const route = routesOf(star, nodeOf(star, here)).find(one =>
            one.to.startsWith(`10.77.${number(to.name)}.`),
          )!
          here = star.links
            .flatMap(link => link.ends)
            .find(end => end.addresses.some(address => address.startsWith(`${route.via}/`)))!.node
        }
      }
    }
    function number(name: string): number {
      return star.nodes.findIndex(node => node.name === name) + 1
    }
  })

  it('nodes that no link joins have no route to each other', () => {
    const apart = lab('nodes: {a: , b: }')
    expect(routesOf(apart, nodeOf(apart, 'a'))).toEqual([])
  })
})

describe('lab/impairments', () => {
  it('a stack sends into the link to all that lies behind it, and hears kernels from there', () => {
    const behind = behindLink(ROW, nodeOf(ROW, 'a'), ROW.links[0]!)
    expect(behind.out).toEqual(expect.arrayContaining(['10.77.2.0/24', 'fd77:2::/64', '10.77.3.2/32']))
    // What stack b sends is impaired as it leaves b; only its kernel's packets are left for a.
    expect(behind.in).toEqual(expect.arrayContaining(['10.77.2.1/32', '10.76.0.2/32', '10.77.3.2/32']))
    expect(behind.in).not.toContain('10.77.2.0/24')
    expect(behindLink(ROW, nodeOf(ROW, 'b'), ROW.links[1]!).out).not.toContain('10.77.1.0/24')
  })

  it('a link that is good has no module; a bad one has one for each direction, at each stack that uses it', () => {
    const bad = lab(
      'nodes: {a: , b: , c: {kind: linux}}\nlinks: [a -- b, {endpoints: [b, c], impair: {loss: 1%}}]',
    )
    for (const name of ['a', 'b']) {
      const modules = impairModules(bad, nodeOf(bad, name))
      expect(modules.map(one => [one.link, one.direction, one.options['loss']])).toEqual([
        ['b--c', 'out', '1%'],
        ['b--c', 'in', '1%'],
      ])
    }
    expect(impairModules(ROW, nodeOf(ROW, 'a'))).toEqual([])
  })
})
