import { describe, expect, it } from 'vitest'
import { AUTH_MAX_BYTES, AUTH_SYS, readSysAuth } from './auth.ts'
import {
  NO_DEADLINE,
  readSessionHandle,
  readSessionRequest,
  SESSION_HANDLE_BYTES,
  SessionCall,
  SessionVerifier,
  sessionRequest,
  writeSessionHandle,
} from './session-wire.ts'

const CLIENT = '00112233445566778899aabbccddeeff'

describe('rpc/session-wire', () => {
  it('a request is AUTH_SYS, which any server takes, and comes back as it was', () => {
    const credentials = { stamp: 7, machineName: 'hütte', uid: 1, gid: 2, gids: [3, 4] }
    const auth = sessionRequest({ clientId: CLIENT, boot: 7, credentials })
    expect(auth.flavor).toBe(AUTH_SYS)
    expect(readSessionRequest(readSysAuth(auth.body)!)).toEqual({ clientId: CLIENT, boot: 7, credentials })
  })

  it('a request for nobody names nobody', () => {
    const auth = sessionRequest({ clientId: CLIENT, boot: -1, credentials: null })
    const read = readSessionRequest(readSysAuth(auth.body)!)
    expect(read).toEqual({ clientId: CLIENT, boot: 0xffff_ffff, credentials: null })
  })

  it('a long machine name is cut between characters, within the 400 bytes of credentials', () => {
    const credentials = { stamp: 0, machineName: '🏔'.repeat(60), uid: 1, gid: 1, gids: Array(16).fill(1) }
    const auth = sessionRequest({ clientId: CLIENT, boot: 0, credentials })
    expect(auth.body.length).toBeLessThanOrEqual(AUTH_MAX_BYTES)
    const name = readSessionRequest(readSysAuth(auth.body)!)!.credentials!.machineName
    expect(name).toMatch(/^(🏔){50,51}$/u)
  })

  it.each([
    'host',
    'putnext-session:',
    `putnext-session:${CLIENT}`,
    `putnext-session:${CLIENT.replace('0', 'g')}:`,
  ])('credentials named %j ask for no session', machineName => {
    expect(readSessionRequest({ stamp: 1, machineName, uid: 0, gid: 0, gids: [] })).toBeNull()
  })

  it('a handle comes back as it was, and a short hand of another server is none', () => {
    const handle = {
      serverBootHigh: 0xffff_fffe,
      serverBootLow: 1,
      session: 9,
      windowCalls: 1_024,
      secret: Int32Array.of(-1, 2, -3, 4),
    }
    const body = writeSessionHandle(handle)
    expect(readSessionHandle(body)).toEqual(handle)
    expect(readSessionHandle(body.subarray(4))).toBeNull()
    expect(readSessionHandle(new Uint8Array(SESSION_HANDLE_BYTES))).toBeNull()
  })

  it('a call says what is the oldest and how long is left', () => {
    const verifier = new SessionVerifier()
    const call = new SessionCall()
    verifier.set(-2, 1_500)
    expect(call.read(verifier.body)).toBe(true)
    expect(call).toMatchObject({ oldestXid: -2, millisecondsLeft: 1_500 })
    verifier.set(5, NO_DEADLINE)
    expect(call.read(verifier.body)).toBe(true)
    expect(call).toMatchObject({ oldestXid: 5, millisecondsLeft: NO_DEADLINE })
    expect(call.read(verifier.body.subarray(1))).toBe(false)
  })
})
