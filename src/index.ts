/// <reference types="node" preserve="true" />
/** What most programs need; each folder's own subpath (`putnext/streams`, `putnext/dgram`, …) has the rest. */
export * from './base/index.ts'
export { InetStack } from './inet/stack.ts'
export { NodeLoop } from './node/loop.ts'
export { Node } from './node/node.ts'
export * from './socket/index.ts'
export { Arena, type DriverInfo, type ModuleInfo, Runtime, Stream } from './streams/index.ts'
