export * from './driver-control.ts'
export * from './wire.ts'
