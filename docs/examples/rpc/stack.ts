/** Which stack a program of this folder runs on: nothing else in it depends on that. */
import { attach } from 'putnext/ipc'
import { kernelHost } from 'putnext/kernel'
import { Node, programPortPath, readNodeConfig } from 'putnext/node'
import type { SocketHost } from 'putnext/rpc'

/** What `parseArgs` of node:util needs to know. */
export const STACK_OPTIONS = {
  kernel: { type: 'boolean' },
  node: { type: 'string' },
  attach: { type: 'string' },
} as const

export const STACK_USAGE = `
  --kernel            STACK: the kernel's sockets
  --node FILE         STACK: one of its own, as the node file says (a TUN device takes root)
  --attach LAB/NODE   STACK: that of a lab's node`

export interface Stack extends SocketHost {
  close(): Promise<unknown>
}

/** @returns null if nothing says which */
export async function openStack(options: {
  readonly kernel?: boolean
  readonly node?: string
  readonly attach?: string
}): Promise<Stack | null> {
  if (options.attach !== undefined) return attach(programPortPath(options.attach))
  if (options.node !== undefined) return Node.start(readNodeConfig(options.node))
  return options.kernel === true ? kernelHost() : null
}

/** Runs when the program is told to end. */
export function atEnd(end: () => Promise<void>): void {
  const once = async (): Promise<void> => {
    await end()
    process.exit()
  }
  process.once('SIGINT', once)
  process.once('SIGTERM', once)
}

/** Bytes that this process copied, by place; what the kernel copies at its sockets is not among them. */
export function copiedBytes({ runtime }: Stack): string {
  const { stack, edge, ipc } = runtime.arena.copies
  return `copied in user space: ${stack.bytes} bytes in the stack, ${edge.bytes} at the program's edge, ${ipc.bytes} at the port`
}
