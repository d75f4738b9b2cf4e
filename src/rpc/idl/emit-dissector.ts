import type { Interface } from './model.ts'
export function emitDissector(_from: Interface, _name: string): string {
  return ''
}
