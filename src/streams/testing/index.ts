/// <reference types="node" preserve="true" />
export * from './compliance.ts'
export * from './driver-compliance.ts'
export * from './messages.ts'
export * from './packets.ts'
export * from './probe.ts'
export * from './runtime.ts'
