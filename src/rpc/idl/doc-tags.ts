/** What the author says in comments for the compiler: `@number`, `@bigint`, `@view`, `@bytes`, `@latin1`, `@utf8`, `@idempotent`. */
import type { ValueStyle } from './model.ts'

const TAG = /@(number|bigint|view|bytes|latin1|utf8|idempotent)\b[ \t]*/g

export interface TaggedDoc {
  /** Without the tags. */
  readonly doc: string | null
  readonly tags: ReadonlySet<string>
}

export function readTags(doc: string | null): TaggedDoc {
  if (doc === null) return { doc, tags: new Set() }
  const tags = new Set([...doc.matchAll(TAG)].map(match => match[1]!))
  const rest = tags.size === 0 ? doc : doc.replace(TAG, '').trim()
  return { doc: rest === '' ? null : rest, tags }
}

export function styleBy(tags: ReadonlySet<string>, style: ValueStyle): ValueStyle {
  const pick = <T extends string>(asked: Readonly<Record<string, T>>, otherwise: T): T =>
    Object.entries(asked).find(([tag]) => tags.has(tag))?.[1] ?? otherwise
  return {
    hyper: pick({ number: 'number', bigint: 'bigint' }, style.hyper),
    string: pick({ latin1: 'latin1', utf8: 'utf8' }, style.string),
    opaque: pick({ view: 'view', bytes: 'bytes' }, style.opaque),
  }
}
