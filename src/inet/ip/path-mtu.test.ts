import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seconds } from '../../base/time.ts'
import { parseAddress } from '../address.ts'
import { IpFixture } from '../testing/ip-fixture.ts'
import { pathMtu } from './control.ts'

let fixture: IpFixture
beforeEach(() => {
  fixture = new IpFixture()
})
afterEach(() => fixture.finish())

describe('ip/control: path MTU', () => {
  const mtuTo = (text: string): number => {
    const { family, words } = parseAddress(text)!
    return pathMtu(fixture.ip, family, ...words)
  }

  it('is the link of the route, whole for ourselves', () => {
    expect(['10.0.0.1', 'fd00:0:0:1::1'].map(mtuTo)).toEqual([1_500, 1_500])
    expect(['127.0.0.1', '10.0.0.2', '::1'].map(mtuTo)).toEqual([65_535, 65_535, 65_535])
  })

  it('RFC 1191 §3: is what a router said, until that is forgotten', () => {
    const { words } = parseAddress('10.0.0.1')!
    fixture.ip.pathMtu.set(...words, 1_400, fixture.ip.nowSeconds())
    fixture.ip.destinations.invalidate()
    expect(['10.0.0.1', '10.0.0.3'].map(mtuTo)).toEqual([1_400, 1_500])
    fixture.test.advance(seconds(601))
    expect(mtuTo('10.0.0.1')).toBe(1_500)
  })

  it('RFC 791 §3.1, RFC 8200 §5: without a route it is what every host takes', () => {
    expect(['192.0.2.1', '2001:db8::1'].map(mtuTo)).toEqual([576, 1_280])
  })
})
