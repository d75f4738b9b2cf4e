/** Named counters of a module or a part: an object of one shape, so that `c.name++` is a plain store. */
export type Counters<Name extends string = string> = Record<Name, number>

/** A fresh set of counters, all zero, in the order of `names`. */
export function makeCounters<Name extends string>(names: readonly Name[]): Counters<Name> {
  // Built in one go: an object that grows name by name becomes a hash table past a dozen, and `++` ten times as slow.
  return Object.fromEntries(names.map(name => [name, 0])) as Counters<Name>
}

/** The counters that are not zero: what a person or a test wants to see. */
export function nonZero(counters: Readonly<Counters>): Record<string, number> {
  const shown: Record<string, number> = {}
  for (const [name, value] of Object.entries(counters)) if (value !== 0) shown[name] = value
  return shown
}
