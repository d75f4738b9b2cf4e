/// <reference types="node" preserve="true" />
export { LINK_BYTES } from './block-writer.ts'
export * from './codec.ts'
export * from './decoder.ts'
export * from './encoder.ts'
export { XDR_FAULTS, XdrError, type XdrFault, type XdrRefusal } from './error.ts'
export * from './message.ts'
export * from './opaque.ts'
