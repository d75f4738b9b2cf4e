import { describe, expect, it } from 'vitest'
import { worthSending } from './super-size.ts'
import type { Tcb } from './tcb.ts'

const MOST = 45 * 1_448
const worth = (minRtt: number, most = MOST): number => worthSending({ minRtt, sndMss: 1_448 } as Tcb, most)

describe('inet/tcp: what a piece waits for before it leaves', () => {
  it('a whole super-segment where the round trip is short, or not known yet', () => {
    expect([worth(0), worth(400)]).toEqual([MOST, MOST])
    expect(worth(600)).toBe(MOST >> 1)
  })

  it('four segments where it is long, so that growth does not leave in bursts; never more than a super-segment', () => {
    expect([worth(20_000), worth(1_000_000)]).toEqual([4 * 1_448, 4 * 1_448])
    expect(worth(20_000, 2 * 1_448)).toBe(2 * 1_448)
  })
})
