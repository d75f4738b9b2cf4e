export * from './messages.ts'
export * from './runtime.ts'
