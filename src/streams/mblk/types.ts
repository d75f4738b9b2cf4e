/** Message types, with the values of sys/stream.h. At or above {@link QPCTL} a message has high priority. */
export const M_DATA = 0x00
export const M_PROTO = 0x01
export const M_CTL = 0x0d
export const M_IOCTL = 0x0e
export const M_SETOPTS = 0x10
export const QPCTL = 0x80
export const M_IOCACK = 0x81
export const M_IOCNAK = 0x82
export const M_PCPROTO = 0x83
export const M_FLUSH = 0x86
export const M_HANGUP = 0x89
export const M_ERROR = 0x8a

/** First byte of an `M_FLUSH`: which side, and whether a band follows in the second. */
export const FLUSHR = 0x01
export const FLUSHW = 0x02
export const FLUSHRW = 0x03
export const FLUSHBAND = 0x04

const NAMES: Readonly<Record<number, string>> = {
  [M_DATA]: 'M_DATA',
  [M_PROTO]: 'M_PROTO',
  [M_CTL]: 'M_CTL',
  [M_IOCTL]: 'M_IOCTL',
  [M_SETOPTS]: 'M_SETOPTS',
  [M_IOCACK]: 'M_IOCACK',
  [M_IOCNAK]: 'M_IOCNAK',
  [M_PCPROTO]: 'M_PCPROTO',
  [M_FLUSH]: 'M_FLUSH',
  [M_HANGUP]: 'M_HANGUP',
  [M_ERROR]: 'M_ERROR',
}

/** The name of a message type, for people. */
export function typeName(type: number): string {
  return NAMES[type] ?? `M_0x${type.toString(16)}`
}

/** Whether a message overtakes ordinary ones. */
export function isHighPriority(mp: { readonly type: number }): boolean {
  return mp.type >= QPCTL
}
