import { describe, expect, it } from 'vitest'
import { AUTH_REJECTEDCRED } from './status.ts'
import { clientRig, failureOf } from './testing/client-rig.ts'
import { DOUBLE, deny, giveSession } from './testing/scripted-server.ts'

describe.each(['tcp', 'udp'] as const)(
  'rpc/client over %s: a server that knows no session that it gives',
  transport => {
    it('is not asked for ever: the call ends as answered, AUTH_REJECTEDCRED', async () => {
      const { client, server, pass, finish } = clientRig(transport, {
        atMostOnce: true,
        program: DOUBLE.program,
        version: DOUBLE.version,
      })
      let sessions = 0
      server.onCall = call => {
        if (call.procedure === 0) giveSession(call, ++sessions)
        else deny(call, AUTH_REJECTEDCRED)
      }
      const failed = failureOf(client.call({ ...DOUBLE, isIdempotent: true }, 1))
      await pass(100)
      expect(await failed).toMatchObject({ outcome: 'answered', status: 'AUTH_REJECTEDCRED' })
      expect(server.calls.length).toBeLessThan(12)
      finish()
    })
  },
)
