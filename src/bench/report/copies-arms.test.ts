import { describe, expect, it } from 'vitest'
import { COPIES_ARMS } from '../copies-result.ts'
import { armLabel, armStyle, PANELS } from './copies-arms.ts'

const withoutColour = (id: string): string => {
  const { shape, hollow } = armStyle(id)
  return `${String(shape.draw)} ${hollow}`
}

describe('bench/report/copies-arms', () => {
  it('all arms differ without colour, by shape and filling', () => {
    expect(new Set(COPIES_ARMS.map(withoutColour)).size).toBe(COPIES_ARMS.length)
    expect(withoutColour('write')).not.toBe(withoutColour('sendOwned'))
  })

  it('every arm stands in a panel', () => {
    const shown = new Set(PANELS.flatMap(({ ids }) => ids))
    expect(COPIES_ARMS.filter(id => !shown.has(id))).toEqual([])
  })

  it('only arms of the experiment have a letter', () => {
    expect(armLabel('e', 'chains')).toBe('(e) chains')
    expect(armLabel('nodenet', 'node:net')).toBe('node:net')
  })
})
