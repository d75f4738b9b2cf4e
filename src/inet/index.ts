export * from './unitdata.ts'
