export * from './shim.ts'
