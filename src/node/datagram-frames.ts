/** Datagrams on a byte stream: two bytes of length, big-endian, then the datagram. */

/** The name in the `Upgrade` header. */
export const DATAGRAMS_PROTOCOL = 'putnext-datagrams'
const LENGTH_BYTES = 2

/** One datagram as it goes over the stream. @param data - at most 65,535 bytes */
export function frame(data: Uint8Array): Uint8Array {
  const framed = new Uint8Array(LENGTH_BYTES + data.length)
  framed[0] = data.length >> 8
  framed[1] = data.length
  framed.set(data, LENGTH_BYTES)
  return framed
}

/** Cuts a byte stream back into datagrams. */
export class FrameReader {
  private rest = new Uint8Array(0)

  /** @returns the datagrams that are complete with this chunk */
  take(chunk: Uint8Array): Uint8Array[] {
    const bytes = new Uint8Array(this.rest.length + chunk.length)
    bytes.set(this.rest)
    bytes.set(chunk, this.rest.length)
    const found: Uint8Array[] = []
    let at = 0
    while (at + LENGTH_BYTES <= bytes.length) {
      const end = at + LENGTH_BYTES + ((bytes[at]! << 8) | bytes[at + 1]!)
      if (end > bytes.length) break
      found.push(bytes.slice(at + LENGTH_BYTES, end))
      at = end
    }
    this.rest = bytes.slice(at)
    return found
  }
}
