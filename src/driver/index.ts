export * from './driver-control.ts'
export * from './null.ts'
export * from './wire.ts'
