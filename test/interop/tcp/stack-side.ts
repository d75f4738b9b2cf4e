/** A node of ours at a TUN device in the kernel's namespace, with sockets on its stack. */
import assert from 'node:assert/strict'
import { Captures } from '../../../src/node/captures.ts'
import { checkNodeConfig, type NodeConfigInput } from '../../../src/node/config.ts'
import { Node } from '../../../src/node/node.ts'
import { pushModule } from '../../../src/node/plumbing.ts'
import { netOn } from '../../../src/socket/net.ts'
import { IPV6_MTU_MIN, KERNEL4, KERNEL6, type Side, type SiteOptions, STACK4, STACK6 } from './site.ts'

const LINK = 'tun0'

export async function openStackSide(netns: string, options: SiteOptions): Promise<Side> {
  const node = await Node.start(checkNodeConfig(configuration(netns, options)))
  try {
    return sideOf(node, options)
  } catch (error) {
    await node.close()
    throw error
  }
}

function configuration(netns: string, options: SiteOptions): NodeConfigInput {
  const { mtu = 1_500, offload = 'auto', modules = [], tcp = {}, txqueuelen = 500 } = options
  const v6 = mtu >= IPV6_MTU_MIN
  return {
    version: 1,
    name: 'stack',
    control: false,
    tcp,
    links: [
      {
        name: LINK,
        driver: 'tun',
        netns,
        mtu,
        offload,
        txqueuelen,
        modules: [...modules],
        addresses: [`${STACK4}/24`, ...(v6 ? [`${STACK6}/64`] : [])],
        kernel: { addresses: [`${KERNEL4}/24`, ...(v6 ? [`${KERNEL6}/64`] : [])] },
      },
    ],
    routes: [
      { to: '0.0.0.0/0', via: KERNEL4, link: LINK },
      ...(v6 ? [{ to: '::/0', via: KERNEL6, link: LINK }] : []),
    ],
  }
}

function sideOf(node: Node, { push = [], capture }: SiteOptions): Side {
  for (const module of push) {
    node.runtime.registry.register(module)
    pushModule(node.runtime, LINK, module.name)
  }
  const recording = capture === undefined ? null : new Captures(node).start({ stream: LINK, file: capture })
  return {
    net: netOn({ runtime: node.runtime }),
    node,
    counters: () => {
      const all = Object.entries(node.counters()['tcp'] ?? {})
      return Object.fromEntries(all.filter(([, value]) => value > 0))
    },
    stopCapture: async () => {
      recording?.end()
      await recording?.done
    },
    close: async () => {
      const faults = node.events.since().filter(({ name }) => /fault|leak/.test(name))
      const { arenaWhole, arena } = await node.close()
      assert.deepEqual(faults, [], 'a module failed')
      assert.equal(arenaWhole, true, `blocks did not come home: ${JSON.stringify(arena)}`)
    },
  }
}
