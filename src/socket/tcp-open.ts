/** Opens what lies below connections and listeners. */
import { StackError } from '../base/errors.ts'
import type { Runtime } from '../streams/runtime.ts'
import { type OpenOptions, Stream } from '../streams/stream.ts'

/** @throws StackError `ERR_NETWORK_DOWN` if there is no TCP any more, or none yet */
export function openTcp(runtime: Runtime, options: OpenOptions): Stream {
  if (runtime.registry.has('tcp')) return Stream.open(runtime, 'tcp', options)
  throw new StackError('ERR_NETWORK_DOWN', 'the stack is closed', {
    hint: 'open sockets before node.close(); a runtime of your own needs an InetStack first',
  })
}
