import { describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import {
  asHostRoute,
  hostAt,
  isCidr,
  isNetwork,
  overlaps,
  readableV6Subnet,
  subnetAt,
  subnetOf,
} from './addressing.ts'

describe('lab/addressing', () => {
  it('cuts subnets of a pool by number, and counts hosts in them', () => {
    expect(subnetAt('10.76.0.0/16', 30, 3)).toBe('10.76.0.12/30')
    expect(hostAt('10.76.0.12/30', 2)).toBe('10.76.0.14/30')
    expect(readableV6Subnet('fd77::/16', 1)).toBe('fd77:1::/64')
    expect(readableV6Subnet('fd00:1::/48', 2)).toBe('fd00:1:0:2::/64')
    expect(hostAt('fd77:1::/64', 2)).toBe('fd77:1::2/64')
  })

  it('refuses a number that the pool or the subnet has not', () => {
    expect(() => subnetAt('10.76.0.0/16', 30, 16_384)).toThrow(StackError)
    expect(() => subnetAt('10.76.0.0/16', 8, 0)).toThrow('no /8')
    expect(() => hostAt('10.76.0.12/30', 4)).toThrow('no address number 4')
  })

  it('tells networks, hosts and overlaps apart', () => {
    expect(subnetOf('fd77:1::2/64')).toBe('fd77:1::/64')
    expect(asHostRoute('10.0.0.1/8')).toBe('10.0.0.1/32')
    expect(isNetwork('10.0.0.0/24')).toBe(true)
    expect(isNetwork('10.0.0.1/24')).toBe(false)
    expect(isNetwork('10.0.0.0/32')).toBe(false)
    expect(overlaps('10.77.1.0/24', '10.77.0.0/16')).toBe(true)
    expect(overlaps('10.77.1.0/24', '10.77.2.0/24')).toBe(false)
    expect(overlaps('10.0.0.0/8', 'fd00::/8')).toBe(false)
    expect(['10.0.0.1/24', 'fd00::/8'].every(isCidr)).toBe(true)
    expect(['10.0.0.1', '10.0.0.1/33', 'x/8', '10.0.0/8'].some(isCidr)).toBe(false)
  })
})
