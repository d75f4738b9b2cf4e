/** A node of ours at a TUN device in the kernel's namespace, with sockets on its stack. */
import { checkNodeConfig } from '../../../src/node/config.ts'
import { Node } from '../../../src/node/node.ts'
import type { Side, SiteOptions } from './site.ts'

export async function openStackSide(netns: string, options: SiteOptions): Promise<Side> {
  throw new Error(`no TCP yet: ${netns} ${Object.keys(options).join()} ${Node.name} ${checkNodeConfig.name}`)
}
