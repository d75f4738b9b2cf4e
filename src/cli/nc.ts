/** `putnext nc`: TCP, or UDP with -u. */
import type { CommandRun } from './command.ts'
import { ncTcp } from './nc-tcp.ts'
import { ncUdp } from './nc-udp.ts'

export const nc: CommandRun = invocation =>
  invocation.args.flag('udp') ? ncUdp(invocation) : ncTcp(invocation)
