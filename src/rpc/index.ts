export * from './stub-types.ts'
