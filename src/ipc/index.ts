/// <reference types="node" preserve="true" />
export { attach } from './client.ts'
export type { AttachOptions, IpcClient, PortCounters } from './interface.ts'
