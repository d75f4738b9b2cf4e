/** The Internet protocols as the network of a node. */
import { StackError } from '../base/errors.ts'
import type { NetworkFactory } from './network.ts'

/** Until the stack is put together: links without anything above them. */
export const inetNetwork: NetworkFactory = () => {
  const missing = (): never => {
    throw new StackError('ERR_NOT_SUPPORTED', 'this build has no network above its links')
  }
  return {
    attach: () => {},
    detach: () => {},
    addRoute: missing,
    removeRoute: missing,
    describe: () => null,
    counters: () => ({}),
    ping: missing,
    openDatagrams: missing,
    startServices: () => {},
    close: () => {},
  }
}
