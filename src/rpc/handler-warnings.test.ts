import { afterEach, describe, expect, it, vi } from 'vitest'
import { warnOfEach } from './handler-warnings.ts'

const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})

afterEach(() => {
  emitted.mockClear()
})

const told = () => emitted.mock.calls.map(([text, options]) => [String(text).split(':')[0], options])

describe('rpc/handler-warnings: handlers that throw, without onError', () => {
  it('tells of each procedure once, with the stack', () => {
    const tell = warnOfEach()
    const error = new Error('no such account')
    tell(error, 'PAY')
    tell(new Error('again'), 'PAY')
    tell('a text', 'ASK')
    expect(told()).toEqual([
      ['PAY', { type: 'RpcHandlerWarning', code: 'PUTNEXT_RPC_HANDLER', detail: error.stack }],
      ['ASK', { type: 'RpcHandlerWarning', code: 'PUTNEXT_RPC_HANDLER', detail: 'a text' }],
    ])
  })

  it('tells of so many procedures, and no more', () => {
    const tell = warnOfEach()
    for (let i = 0; i < 1_000; i++) tell(new Error('x'), `P${i}`)
    expect(emitted).toHaveBeenCalledTimes(64)
  })
})
