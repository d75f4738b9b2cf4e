import { toJsonSchema } from '@valibot/to-json-schema'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../node/yaml-reader.ts'
import { parseLab, readLab } from './lab-file.ts'
import { labSchema } from './schema.ts'

const EXAMPLES = new URL('../../docs/examples/labs/', import.meta.url).pathname

/** The lines of complaint about a file. */
function complaints(text: string): string[] {
  try {
    parseLab('lab.yaml', text)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message.split('\n')
  }
  throw new Error('nothing was wrong with it')
}

const HEAD = 'version: 1\nname: x\n'

describe('lab/lab-file: paths', () => {
  it('the directory of a file server is relative to the lab file', () => {
    const text = 'version: 1\nname: l\nnodes: {a: {services: {files: {directory: www, port: 8080}}}}\n'
    const lab = parseLab('l.yaml', text, { directory: '/srv/labs' })
    expect(lab.nodes[0]!.services).toEqual({ files: { directory: '/srv/labs/www', port: 8_080 } })
  })
})

describe('lab/lab-file: what is read', () => {
  it('inetd.yaml is one node with the addresses that its name promises', () => {
    const { name, mode, nodes, links } = readLab(`${EXAMPLES}inetd.yaml`)
    expect({ name, mode, links }).toEqual({ name: 'inetd', mode: 'netns', links: [] })
    expect(nodes).toMatchObject([
      {
        name: 'n1',
        kind: 'stack',
        addresses: ['10.77.1.2/24', 'fd77:1::2/64'],
        kernel: ['10.77.1.1/24', 'fd77:1::1/64'],
        mtu: 1_500,
        offload: true,
        services: { echo: true, discard: true, chargen: true },
      },
    ])
  })

  it('pair.yaml is two stacks and a kernel host, in both families', () => {
    const { nodes, links } = readLab(`${EXAMPLES}pair.yaml`)
    expect(nodes.map(node => [node.name, node.kind, ...node.addresses])).toEqual([
      ['n1', 'stack', '10.77.1.2/24', 'fd77:1::2/64'],
      ['n2', 'stack', '10.77.2.2/24', 'fd77:2::2/64'],
      ['host', 'linux', '10.77.3.2/24', 'fd77:3::2/64'],
    ])
    expect(links.map(link => link.name)).toEqual(['n1--n2', 'n2--host'])
  })

  it('fills in addresses, interfaces and the kernel side', () => {
    const { nodes, links } = parseLab(
      'f',
      `${HEAD}nodes: {a: , b: }\nlinks: [a -- b, {endpoints: [a:up, b]}]`,
    )
    expect(nodes[1]).toMatchObject({
      addresses: ['10.77.2.2/24', 'fd77:2::2/64'],
      kernel: ['10.77.2.1/24', 'fd77:2::1/64'],
    })
    expect(links.map(link => [link.name, ...link.ends.map(end => `${end.node}:${end.interface}`)])).toEqual([
      ['a--b', 'a:eth0', 'b:eth0'],
      ['a--b-2', 'a:up', 'b:eth1'],
    ])
    expect(links[1]!.ends[1]!.addresses).toEqual(['10.76.0.6/30', 'fd76:2::2/64'])
  })

  it('takes anchors, merge keys and x- keys', () => {
    const text = `${HEAD}x-node: &node {mtu: 9000, x-why: jumbo}\nnodes:\n  a: *node\n  b: {<<: *node, offload: false}\n`
    const { nodes } = parseLab('f', text)
    expect(nodes.map(node => [node.mtu, node.offload])).toEqual([
      [9_000, true],
      [9_000, false],
    ])
  })

  it('ipc: of a node, or of all stacks by default', () => {
    const text = `${HEAD}defaults: {node: {ipc: true}}\nnodes: {a: , b: {ipc: false}, c: {kind: linux}}`
    expect(parseLab('f', text).nodes.map(node => node.ipc)).toEqual([true, false, false])
  })

  it('keeps impairments of links and segments, by default those of defaults', () => {
    const text = `${HEAD}defaults: {link: {impair: {delay: 1ms}}}
nodes: {a: , b: , c: }
links:
  - a -- b
  - {segment: lan, members: [a, b, c], impair: {loss: 1%}}`
    const { links } = parseLab('f', text)
    expect(links.map(link => [link.kind, link.impair])).toEqual([
      ['pair', { delay: '1ms' }],
      ['segment', { loss: '1%' }],
    ])
    expect(links[1]!.ends.map(end => end.addresses[0])).toEqual([
      '10.78.1.1/24',
      '10.78.1.2/24',
      '10.78.1.3/24',
    ])
  })
})

describe('lab/lab-file: what is refused, with line and column', () => {
  it('unknown keys, with a guess', () => {
    expect(complaints(`${HEAD}nodes:\n  a: {mtuu: 1500}\n`)).toEqual([
      'lab.yaml:4:7: nodes.a.mtuu: unknown key "mtuu"; did you mean "mtu"?',
    ])
    expect(
      complaints(`${HEAD}nodes: {a: , b: }\nlinks:\n  - endpoints: [a, b]\n    impair: {dely: 1ms}\n`),
    ).toEqual(['lab.yaml:6:14: links[0].impair.dely: unknown key "dely"; did you mean "delay"?'])
  })

  it('text that is no YAML, and keys given twice', () => {
    expect(complaints('version: 1\nname: [x\n')[0]).toMatch(/^lab\.yaml:\d+:\d+: /)
    expect(complaints(`${HEAD}name: y\nnodes: {a: }`)[0]).toMatch(/^lab\.yaml:3:1: .*unique/)
  })

  it('everything at once, not one mistake at a time', () => {
    expect(complaints('version: 2\nname: X\nnodes: {a: {mtu: 5}}')).toHaveLength(3)
  })

  it.each([
    [
      'links that are no links',
      'nodes: {a: , b: }\nlinks: [a-b]',
      ':4:9: links[0]: a link is written "n1 -- n2"',
    ],
    ['links to nobody', 'nodes: {a: , b: }\nlinks: [a -- c]', '"c" is no node of this lab (nodes: a, b)'],
    ['links to oneself', 'nodes: {a: }\nlinks: [a -- a]', 'joins different nodes'],
    [
      'interfaces used twice',
      'nodes: {a: , b: }\nlinks: [a:e -- b, a:e -- b]',
      'the interface e of a is taken',
    ],
    ['waiting for nobody', 'nodes: {a: {depends_on: {b: healthy}}}', 'there is no node b'],
    [
      'waiting in a circle',
      'nodes: {a: {depends_on: {b: healthy}}, b: {depends_on: {a: started}}}',
      'nodes wait for each other: a -> b -> a',
    ],
    [
      'two nodes in one subnet',
      'nodes: {a: {addresses: [10.0.0.2/24]}, b: {addresses: [10.0.0.3/24]}}',
      'is inside',
    ],
    ['networks for hosts', 'nodes: {a: {addresses: [10.0.0.0/24]}}', 'is a network'],
    ['subnets without room', 'nodes: {a: {addresses: [10.0.0.1/32]}}', "room for the kernel's side"],
    [
      'services of a kernel host',
      'nodes: {a: {kind: linux, services: [echo]}}',
      'services are for nodes of kind stack',
    ],
    ['commands of a stack', 'nodes: {a: {exec: [ls]}}', 'exec is for nodes of kind linux'],
    ['a port of a kernel host', 'nodes: {a: {kind: linux, ipc: true}}', 'ipc is for nodes of kind stack'],
    ['the name of the fabric', 'nodes: {fabric: }', "the lab's own namespace"],
    [
      'services that nobody offers',
      'nodes:\n  a: {services: [ecko]}',
      ':4:17: nodes.a.services: ecko: unknown key "ecko"; did you mean "echo"?',
    ],
    ['ports that are none', 'nodes: {a: {services: {echo: {port: 70000}}}}', 'nodes.a.services: echo'],
    ['modules that are several', 'nodes: {a: {modules: [{x: 1, y: 2}]}}', 'nodes.a.modules: [0]'],
    [
      'impairments that are none',
      'nodes: {a: , b: }\nlinks: [{endpoints: [a, b], impair: {delay: soon}}]',
      'links[0].impair: impair: delay: "soon" is not a time such as 10ms',
    ],
    [
      'an impaired link between kernel hosts',
      'nodes: {a: {kind: linux}, b: {kind: linux}}\nlinks: [{endpoints: [a, b], impair: {loss: 1%}}]',
      'a--b joins the kernel hosts a and b',
    ],
  ])('%s', (_, text, message) => {
    expect(complaints(HEAD + text).join('\n')).toContain(message)
  })

  it('the mode sim, which comes later', () => {
    expect(() => parseLab('f', `${HEAD}mode: sim\nnodes: {a: }`)).toThrow('comes later')
    expect(parseLab('f', `${HEAD}mode: sim\nnodes: {a: }`, { mode: 'inproc' }).mode).toBe('inproc')
  })
})

/** JSON Schema for editors: like ours it refuses unknown keys, and lets those through that start with x-. */
function withExtensions(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withExtensions)
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).map(([key, value]) => [key, withExtensions(value)] as const)
  const closed = (schema as { additionalProperties?: unknown }).additionalProperties === false
  return Object.fromEntries(closed ? [...entries, ['patternProperties', { '^x-': {} }]] : entries)
}

describe('lab/schema', () => {
  it('the committed JSON Schema is the one of the code (npx vitest run src/lab -u writes it anew)', async () => {
    const schema = withExtensions(toJsonSchema(labSchema, { errorMode: 'ignore', typeMode: 'input' }))
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(
      '../../docs/reference/lab.schema.json',
    )
  })
})
