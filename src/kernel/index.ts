/// <reference types="node" preserve="true" />
export { type KernelHost, type KernelHostOptions, kernelHost } from './host.ts'
export type { KernelCounters } from './sockets.ts'
