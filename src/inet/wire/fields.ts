/** Big-endian fields of packets. Words are int32: numbers beyond that would be allocated. */
import type { ReadonlyBytes } from '../../base/checksum.ts'

export function u16(bytes: ReadonlyBytes, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

export function i32(bytes: ReadonlyBytes, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function putI32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}
