/// <reference types="node" preserve="true" />
export { COMMANDS } from './script/commands.ts'
export { decodePacket } from './script/packet-decode.ts'
export { encodePacket } from './script/packet-encode.ts'
export * from './script/packet-fields.ts'
export { LINE_MAX, Session } from './script/session.ts'
export { type SoakResult, soak } from './soak/run.ts'
export { drawScenario, type Scenario } from './soak/scenario.ts'
