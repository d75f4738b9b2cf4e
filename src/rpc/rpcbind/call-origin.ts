/** Where a call of our server came from and where it came to: only its channel knows. */
import { fromWords, type IpAddress, parseAddress } from '../../inet/address.ts'
import { FAMILY, FLAGS, LOCAL, UD_NOT_UNICAST } from '../../inet/unitdata.ts'
import { remoteOf } from '../../socket/endpoint.ts'
import type { BorrowedMblk } from '../../streams/mblk/mblk.ts'
import { ServerCall } from '../server-call.ts'
import { StreamChannel } from '../stream-channel.ts'
import type { RpcContext } from '../stub-types.ts'
import { isFromHere, type RpcbindCaller } from './caller.ts'
import { netidOf } from './netid.ts'

/** Of a channel that is neither, as in a test: nobody's. */
const NOWHERE: RpcbindCaller = {
  netid: netidOf('tcp', 4),
  isLocal: false,
  local: null,
  credentials: null,
}

/** @param context - of a call that a server of ours has in hand */
export function callOrigin(context: RpcContext): RpcbindCaller {
  if (!(context instanceof ServerCall)) return NOWHERE
  const credentials = context.principal.sys
  const { envelope } = context
  const channel = context.channel?.channel
  if (envelope !== null) {
    const remote = remoteOf(envelope)
    const local = localOf(envelope)
    return { netid: netidOf('udp', remote.family), isLocal: isFromHere(remote, local), local, credentials }
  }
  if (!(channel instanceof StreamChannel)) return { ...NOWHERE, credentials }
  const remote = parseAddress(channel.connection.remote.address)
  const local = parseAddress(channel.connection.local.address)
  if (remote === null) return { ...NOWHERE, credentials }
  return { netid: netidOf('tcp', remote.family), isLocal: isFromHere(remote, local), local, credentials }
}

/** @returns null for a broadcast or multicast, which no address of ours is known by */
function localOf(envelope: BorrowedMblk): IpAddress | null {
  const { words } = envelope.dblk.arena
  const at = envelope.rptr >> 2
  if ((words[at + FLAGS]! & UD_NOT_UNICAST) !== 0) return null
  const family = words[at + FAMILY] === 4 ? 4 : 6
  return fromWords(
    family,
    words[at + LOCAL]!,
    words[at + LOCAL + 1]!,
    words[at + LOCAL + 2]!,
    words[at + LOCAL + 3]!,
  )
}
