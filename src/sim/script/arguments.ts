/** The members of a command, read with their types; whatever is left unread is a mistake. */
import { Misuse } from './errno.ts'

export class ScriptArguments {
  private readonly members: Readonly<Record<string, unknown>>
  private readonly known = new Set<string>(['cmd', 'id', 'comment'])

  constructor(members: Readonly<Record<string, unknown>>) {
    this.members = members
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined
  }

  raw(name: string): unknown {
    this.known.add(name)
    return this.members[name]
  }

  integer(name: string, least: number, most: number, fallback?: number): number {
    const value = this.raw(name)
    if (value === undefined && fallback !== undefined) return fallback
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
    throw bad(name, value, `a whole number from ${least} to ${most}`)
  }

  flag(name: string, fallback = false): boolean {
    const value = this.raw(name)
    if (value === undefined) return fallback
    if (typeof value === 'boolean') return value
    if (value === 0 || value === 1) return value === 1
    throw bad(name, value, 'true or false')
  }

  string(name: string, fallback?: string): string {
    const value = this.raw(name)
    if (value === undefined && fallback !== undefined) return fallback
    if (typeof value === 'string') return value
    throw bad(name, value, 'text')
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback?: T): T {
    const value = this.raw(name)
    if (value === undefined && fallback !== undefined) return fallback
    const found = choices.find(one => one === value)
    if (found === undefined) throw bad(name, value, `one of ${choices.join(', ')}`)
    return found
  }

  object(name: string): Readonly<Record<string, unknown>> | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
    throw bad(name, value, 'an object')
  }

  strings(name: string): readonly string[] | undefined {
    const value = this.raw(name)
    if (value === undefined) return undefined
    if (Array.isArray(value) && value.every(one => typeof one === 'string')) return value as string[]
    throw bad(name, value, 'a list of text')
  }

  /** @throws Misuse if a member is there that nobody asked for */
  done(): void {
    const unknown = Object.keys(this.members).find(name => !this.known.has(name))
    if (unknown === undefined) return
    const known = [...this.known].filter(name => name !== 'cmd' && name !== 'comment')
    throw new Misuse('bad-argument', `this command knows no "${unknown}"; it knows ${known.join(', ')}`)
  }
}

function bad(name: string, value: unknown, expected: string): Misuse {
  const shown =
    value === undefined ? 'is missing: it has to be' : `${JSON.stringify(value)?.slice(0, 80)} is not`
  return new Misuse('bad-argument', `${name} ${shown} ${expected}`)
}
