import { afterEach, describe, expect, it, vi } from 'vitest'

const MEGABYTE = 1024 * 1024

afterEach(() => {
  vi.restoreAllMocks()
  vi.resetModules()
})

/** The module as a process with that heap has it at first. */
async function withHeap(heapUsed: number): Promise<typeof import('./net-memory.ts')> {
  vi.resetModules()
  vi.spyOn(process, 'memoryUsage').mockReturnValue({ heapUsed } as NodeJS.MemoryUsage)
  return await import('./net-memory.ts')
}

describe('socket/net-memory', () => {
  it('a process with a small heap that moves much is prepared once, and not before', async () => {
    const { countChunk, heapWeight } = await withHeap(6 * MEGABYTE)
    const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow')
    for (let i = 0; i < 64; i++) countChunk(MEGABYTE)
    expect([allocate.mock.calls.length, heapWeight()]).toEqual([0, 0])
    for (let i = 0; i < 1_000; i++) countChunk(MEGABYTE)
    expect(allocate.mock.calls).toEqual([[32 * MEGABYTE - 65_536]])
    expect(heapWeight()).toBe(10 * MEGABYTE)
  })

  it('a heap that is large enough is left alone', async () => {
    const { countChunk, heapWeight } = await withHeap(40 * MEGABYTE)
    countChunk(100 * MEGABYTE)
    expect(heapWeight()).toBe(0)
  })
})
