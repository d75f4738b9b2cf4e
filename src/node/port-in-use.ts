/** A port that is taken, told the same way by every command that listens. */
import { StackError } from '../base/errors.ts'
import { type ServicesConfig, servicePlaces } from './config-services.ts'

/**
 * @param error - what listening failed with
 * @returns an error that names the port, and the node's own service if that has it; any other error unchanged
 */
export function portInUse(
  error: unknown,
  protocol: 'tcp' | 'udp',
  port: number,
  services: ServicesConfig,
): unknown {
  if (!(error instanceof StackError) || error.code !== 'ERR_ADDR_IN_USE') return error
  const own = servicePlaces(services).find(place => place.protocol === protocol && place.port === port)
  const holder = own === undefined ? '' : `the node's own service ${own.service} has it: `
  return new StackError(error.code, `${protocol.toUpperCase()} port ${port} is in use on this node`, {
    cause: error,
    hint: `${holder}choose another port; "putnext plumb NODE --all" shows who listens`,
  })
}
