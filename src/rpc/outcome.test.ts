import { describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import { ReplyHeader } from './message.ts'
import { answerError, refused, unknownOutcome } from './outcome.ts'
import { RECORD_FAULTS } from './record-mark.ts'
import { MSG_ACCEPTED, PROG_MISMATCH } from './status.ts'
import { XdrError } from './xdr/index.ts'

describe('rpc/outcome: a hint says what to do', () => {
  it('an argument that does not fit is to be mended, not sent again', () => {
    const cause = new XdrError('ERR_BAD_ARGUMENT', 'xdr-value', 'argument.a', '1.5 is not an int')
    const error = refused(cause.code, 'SUM', cause.message, cause)
    expect(error).toMatchObject({ outcome: 'refused', message: 'SUM: argument.a: 1.5 is not an int' })
    expect(error.hint).toMatch(/interface file/)
    expect(error.hint).not.toMatch(/again/)
  })

  it('so is an option', () => {
    const cause = new StackError('ERR_BAD_ARGUMENT', 'timeoutMs is a number of milliseconds above 0, not -1')
    expect(refused(cause.code, 'SUM', cause.message, cause).hint).toMatch(/^nothing was sent: mend/)
  })

  it('where nobody listens, address and port are to be looked at', () => {
    const cause = new StackError('ERR_CONN_REFUSED', 'the peer refused the connection')
    for (const code of ['ERR_CONN_REFUSED', 'ERR_TIMED_OUT'] as const)
      expect(refused(code, 'SUM', 'it could not be sent in time', cause).hint).toMatch(/address and port/)
  })

  it('the hint of a cause is kept', () => {
    const cause = new StackError('ERR_NOT_FOUND', 'not registered', { hint: 'ask' })
    expect(refused(cause.code, 'SUM', cause.message, cause).hint).toBe('ask')
  })

  it.each(RECORD_FAULTS)('%s is told by message, hint and fault', fault => {
    const cause = new StackError('ERR_PROTOCOL', `rpcmod: ${fault}`)
    const error = unknownOutcome(cause.code, 'SUM', 'the connection was lost', cause)
    expect(error).toMatchObject({ outcome: 'unknown', fault, cause })
    expect(error.message).toMatch(/^SUM: the connection was lost: /)
    expect(error.hint).not.toMatch(/atMostOnce/)
  })

  it('a connection that was just lost has the hint of what may have run', () => {
    const cause = new StackError('ERR_CONN_RESET', 'the server ended the connection')
    const error = unknownOutcome(cause.code, 'SUM', 'the connection was lost', cause)
    expect(error).toMatchObject({ fault: null, message: 'SUM: the connection was lost' })
    expect(error.hint).toMatch(/^it may have run: ask the server/)
  })

  it.each([
    [2, 2, 'version 2 is there'],
    [1, 3, 'versions 1 to 3 are there'],
  ])('PROG_MISMATCH: %d to %d', (low, high, text) => {
    const reply = Object.assign(new ReplyHeader(), { reply: MSG_ACCEPTED, status: PROG_MISMATCH, low, high })
    expect(answerError('SUM', reply)).toMatchObject({
      versions: [low, high],
      message: `SUM: the server answered PROG_MISMATCH, ${text}`,
    })
  })
})
