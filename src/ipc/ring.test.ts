/** The ring of descriptors between two processes. */
import { describe, expect, it } from 'vitest'
import { clearRing, ENTRY_WORDS, RING_BYTES, RING_ENTRIES, RingReader, RingWriter } from './ring.ts'

function make(): { words: Int32Array; writer: RingWriter; reader: RingReader } {
  const words = new Int32Array(64 + RING_BYTES / 4).fill(-1)
  clearRing(words, 64)
  return { words, writer: new RingWriter(words, 256), reader: new RingReader(words, 256) }
}

describe('ipc/ring', () => {
  it('what is put comes out, in order, many times round; nothing is seen before it is published', () => {
    const { words, writer, reader } = make()
    let next = 0
    let expected = 0
    for (let round = 0; round < 50; round++) {
      const count = Math.min(writer.room, 1 + ((round * 977) % RING_ENTRIES))
      for (let i = 0; i < count; i++) {
        words[writer.entry] = next
        words[writer.entry + ENTRY_WORDS - 1] = ~next++
        writer.next()
      }
      expect(reader.waiting).toBe(0)
      writer.publish()
      expect(reader.waiting).toBe(count)
      for (; reader.waiting > 0; reader.next()) {
        expect(words[reader.entry]).toBe(expected)
        expect(words[reader.entry + ENTRY_WORDS - 1]).toBe(~expected++)
      }
      reader.release()
    }
    expect(expected).toBe(next)
    expect(words.subarray(0, 64).every(word => word === -1)).toBe(true)
  })

  it('a reader that sleeps is to be woken, once; one that finds something does not sleep', () => {
    const { writer, reader } = make()
    writer.next()
    expect(writer.publish()).toBe(false)
    expect(reader.sleep()).toBe(false)
    reader.next()
    reader.release()
    expect(reader.sleep()).toBe(true)
    writer.next()
    expect(writer.publish()).toBe(true)
    writer.next()
    expect(writer.publish()).toBe(false)
    expect(writer.publish()).toBe(false)
  })

  it('a writer that waits for room is to be woken when there is some', () => {
    const { writer, reader } = make()
    expect(writer.await()).toBe(false)
    for (let i = 0; i < RING_ENTRIES; i++) writer.next()
    writer.publish()
    expect(writer.room).toBe(0)
    expect(writer.await()).toBe(true)
    reader.next()
    expect(reader.release()).toBe(true)
    reader.next()
    expect(reader.release()).toBe(false)
    expect(writer.room).toBe(2)
  })

  it('indices wrap at 2^31', () => {
    const { words } = make()
    words[64] = words[64 + 16] = 0x7fffffff
    const writer = new RingWriter(words, 256)
    const reader = new RingReader(words, 256)
    Object.assign(writer, { tail: 0x7fffffff })
    Object.assign(reader, { head: 0x7fffffff })
    for (let i = 0; i < 3; i++) writer.next()
    writer.publish()
    expect(reader.waiting).toBe(3)
    expect(writer.room).toBe(RING_ENTRIES - 3)
  })
})
