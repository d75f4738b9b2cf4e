import { readFileSync } from 'node:fs'
import { toJsonSchema } from '@valibot/to-json-schema'
import { describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import { checkNodeConfig, parseNodeConfig, readNodeConfig } from './config.ts'
import { nodeSchema } from './config-schema.ts'
import { servicesText } from './config-services.ts'
import { ConfigError } from './yaml-reader.ts'

const HEAD = 'version: 1\nname: n1\n'

/** [what is wrong, the text, line:column and the message, one for each mistake] */
const MISTAKES: readonly (readonly [string, string, readonly string[]])[] = [
  ['a missing name', 'version: 1\n', ['1:1: name: the key name is missing']],
  ['another version', 'version: 2\nname: n1\n', ['1:10: version: must be 1, not 2']],
  [
    'an unknown key, with a guess',
    `${HEAD}fowarding: true\n`,
    ['3:1: fowarding: unknown key "fowarding"; did you mean "forwarding"?'],
  ],
  ['a key twice', `${HEAD}seed: 1\nseed: 2\n`, ['4:1: Map keys must be unique']],
  ['no mapping', 'just words\n', ['1:1: must be Object, not "just words"']],
  [
    'an upper-case name',
    'version: 1\nname: N1\n',
    ['2:7: name: a name has 1 to 32 lower-case letters, digits, and dots or dashes inside'],
  ],
  [
    'an unknown driver',
    `${HEAD}links:\n  - name: a\n    driver: tunn\n`,
    ['5:13: links[0].driver: must be ("tun" | "wire"), not "tunn"'],
  ],
  [
    'an unknown key deep inside',
    `${HEAD}links:\n  - name: a\n    driver: tun\n    kernel:\n      adresses: []\n`,
    ['7:7: links[0].kernel.adresses: unknown key "adresses"; did you mean "addresses"?'],
  ],
  [
    'an address without prefix length',
    `${HEAD}links:\n  - {name: a, driver: tun, addresses: [10.0.0.1/24, 10.0.0.2]}\n`,
    [
      '4:53: links[0].addresses[1]: must be an address with its prefix length, as 10.77.1.2/24 or fd77:1::2/64',
    ],
  ],
  [
    'an MTU too small',
    `${HEAD}links:\n  - {name: a, driver: tun, mtu: 60}\n`,
    ['4:33: links[0].mtu: must be 68 to 65535'],
  ],
  [
    'a module with two keys',
    `${HEAD}links:\n  - {name: a, driver: tun, modules: [{a: 1, b: 2}]}\n`,
    ['4:38: links[0].modules[0]: must be one module: its name, or {name: {options}}'],
  ],
  [
    'a wire without its name',
    `${HEAD}links:\n  - {name: a, driver: wire}\n`,
    ['4:5: links[0].wire: the key wire is missing'],
  ],
  [
    'a size with an unknown unit',
    `${HEAD}arena: {size: 64MB}\n`,
    ['3:15: arena.size: must be a size as 64MiB, or a number of bytes'],
  ],
  [
    'an arena too small',
    `${HEAD}arena: {size: 1KiB}\n`,
    ['3:15: arena.size: must be 1048576 to 2147483647 bytes'],
  ],
  [
    'two links of one name',
    `${HEAD}links:\n  - {name: a, driver: tun}\n  - {name: a, driver: tun}\n`,
    ['5:12: links[1].name: a second link named a'],
  ],
  [
    'an address twice',
    `${HEAD}links:\n  - {name: a, driver: tun, addresses: [10.0.0.1/24]}\n  - {name: b, driver: tun, addresses: [10.0.0.1/8]}\n`,
    ['5:40: links[1].addresses[0]: 10.0.0.1 is an address of a already'],
  ],
  [
    'a route over no link',
    `${HEAD}routes:\n  - {to: 0.0.0.0/0, link: nowhere}\n`,
    ['4:27: routes[0].link: there is no link named nowhere'],
  ],
  [
    'a route to nowhere',
    `${HEAD}routes:\n  - to: 0.0.0.0/0\n`,
    ['4:5: routes[0]: a route needs via, link, or both'],
  ],
  [
    'a next hop of another family',
    `${HEAD}routes:\n  - {to: 0.0.0.0/0, via: "fd00::1"}\n`,
    ['4:26: routes[0].via: fd00::1 is of another family than 0.0.0.0/0'],
  ],
  [
    'a port used twice',
    `${HEAD}services: {echo: true, discard: {port: 7}}\n`,
    ["3:24: services.discard: port 7 is echo's already"],
  ],
  [
    'a service with an unknown key',
    `${HEAD}services: {echo: {prt: 7}}\n`,
    ['3:12: services.echo.port: the key port is missing'],
  ],
  [
    'two mistakes at once',
    `${HEAD}seed: -1\nforwarding: maybe\n`,
    ['3:7: seed: must be 0 to 9007199254740991', '4:13: forwarding: must be boolean, not "maybe"'],
  ],
  ['prototype keys', `${HEAD}__proto__: {a: 1}\n`, ['3:1: __proto__: unknown key "__proto__"']],
]

function problemsOf(text: string): string[] {
  try {
    parseNodeConfig(text, 'n.yaml')
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  return []
}

describe('node/config', () => {
  it.each(MISTAKES)('checklist 3.8-72: %s is refused, with line and column', (_what, text, wanted) => {
    const found = problemsOf(text)
    expect(found.length).toBeGreaterThan(0)
    for (const [i, problem] of wanted.entries()) expect(found[i]).toContain(`n.yaml:${problem}`)
  })

  it('fills in defaults, and turns sizes, services and modules into what the node uses', () => {
    const config = parseNodeConfig(
      `${HEAD}x-note: anything\nlinks:\n  - name: tun0\n    driver: tun\n    addresses: [10.77.1.2/24, fd77:1::2/64]\n    modules: [capture, {impair: {delay: 10ms}}]\nservices: {echo: true, discard: {port: 99}}\nlimits: {reassemblyTimeout: 30s}\n`,
      'n.yaml',
    )
    expect(config.arena.size).toBe(64 * 1024 * 1024)
    expect(config.services).toEqual({
      echo: { udp: 7, tcp: 7 },
      discard: { udp: 99, tcp: 99 },
      chargen: { udp: null, tcp: null },
      files: null,
      iperf: null,
      rpcbind: null,
    })
    expect(config.limits).toEqual({ reassemblyTimeout: 30_000 })
    expect(config.forwarding).toBe(false)
    expect(config.links[0]).toMatchObject({
      driver: 'tun',
      mtu: 1_500,
      offload: 'auto',
      kernel: { addresses: [], routes: [] },
      modules: [{ module: 'capture' }, { module: 'impair', options: { delay: '10ms' } }],
    })
  })

  it('services: one protocol alone, the file server, iperf; and what people read of it', () => {
    const { services } = parseNodeConfig(
      `${HEAD}services: {echo: {udp: true}, discard: {tcp: 9009, udp: 9}, chargen: true, files: {directory: ./www}, iperf: true, rpcbind: true}\n`,
      'n.yaml',
    )
    expect(services).toEqual({
      echo: { udp: 7, tcp: null },
      discard: { udp: 9, tcp: 9_009 },
      chargen: { udp: 19, tcp: 19 },
      files: {
        directory: './www',
        port: 80,
        address: undefined,
        listings: true,
        hidden: false,
        symlinks: 'inside',
      },
      iperf: 5_201,
      rpcbind: { port: 111, changes: 'local' },
    })
    expect(servicesText(services)).toBe(
      'echo 7/udp, discard 9/udp, discard 9009/tcp, chargen 19/tcp+udp, files 80/tcp, iperf 5201/tcp, rpcbind 111/tcp+udp',
    )
  })

  it.each([
    ['services: {echo: {tcp: 80}, files: {directory: www}}', "services.files: port 80 is echo's already"],
    ['services: {iperf: {port: 0}}', 'services.iperf.port: must be 1 to 65535'],
    ['services: {rpcbind: {changes: all}}', 'services.rpcbind'],
    ['services: {files: {port: 80}}', 'services.files.directory: the key directory is missing'],
    ['services: {files: {directory: www, symlinks: some}}', 'services.files.symlinks'],
    ['services: {echo: {tcp: 70000}}', 'services.echo'],
  ])('%s is refused', (text, problem) => {
    expect(problemsOf(`${HEAD}${text}\n`).join('\n')).toContain(problem)
  })

  it('the same port on UDP and TCP is no contradiction', () => {
    expect(problemsOf(`${HEAD}services: {echo: {udp: 80}, files: {directory: www}}\n`)).toEqual([])
  })

  it('takes a minimal configuration, from a program too', () => {
    expect(checkNodeConfig({ version: 1, name: 'n1' })).toMatchObject({ links: [], routes: [], modules: [] })
  })

  it('checklist 3.8-72: aliases that multiply are refused, not expanded', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x]']
    for (const [last, next] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh'])
      lines.push(`${next}: &${next} [${Array(9).fill(`*${last}`).join(', ')}]`)
    expect(() => parseNodeConfig(lines.join('\n'), 'n.yaml')).toThrow(StackError)
  })

  it('a file that is not there is an error of its own', () => {
    expect(readNodeConfig('docs/examples/nodes/n1.yaml').name).toBe('n1')
    expect(() => readNodeConfig('/nonexistent/n.yaml')).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_FOUND' }),
    )
    expect(() => readNodeConfig('/')).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
  })

  it('the example of the manual is a configuration without a mistake', () => {
    const manual = readFileSync(new URL('../../docs/reference/node-config.md', import.meta.url), 'utf8')
    const example = /^```yaml\n([\s\S]*?)^```/m.exec(manual)?.[1] ?? ''
    expect(parseNodeConfig(example, 'node-config.md').links).toHaveLength(1)
  })

  it('the committed JSON Schema is the one of the code (npx vitest run src/node -u writes it anew)', async () => {
    const schema = toJsonSchema(nodeSchema, { errorMode: 'ignore', typeMode: 'input' })
    await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(
      '../../docs/reference/node.schema.json',
    )
  })
})
