import { assert } from '../../src/base/assert.ts'
import { analyze } from '../../src/rpc/idl/analyze.ts'
import { generate } from '../../src/rpc/idl/generate.ts'
import { formatProblem } from '../../src/rpc/idl/source.ts'
import type { FuzzTarget } from './target.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const TYPES = `#define SIZE 0x10 /* how long */
%#define FROM_C 7
#if defined(SIZE) && SIZE > 2
const A = -1; enum e { X = A, Y, Z = 017 };
#else
#error no
#endif
typedef opaque fixed[4]; typedef opaque any<>; typedef string text<SIZE>; typedef node *list;
/* a list */
struct node { int value; /* behind */ node *next; };
union u switch (e kind) { case X: case Y: list items; default: void; };
union n switch (int k) { case 0: hyper h; default: struct { bool b; } inner; };
`
const PROGRAM = `# 12 "other.x"
#define WORD unsigned int
struct s { WORD a<3>; float f; double d[2]; unsigned hyper h; };
program P { version V { void NULL_(void) = 0; s GET(s one, string, WORD) = 1; } = 1; version W { s GET(s *) = 1; } = 2; } = 0x20000001;
`

/** The compiler of interface files: any text is an interface or has told errors, and what it makes of one is made without a fault. */
export const targets: readonly FuzzTarget[] = [
  {
    name: 'interface',
    seeds: [
      bytes(TYPES),
      bytes(PROGRAM),
      bytes(`${TYPES}${PROGRAM}`),
      bytes('#include "F.x"\nstruct s { int x; };'),
    ],
    run(input) {
      const text = new TextDecoder().decode(input)
      const {
        interface: found,
        problems,
        errorCount,
      } = analyze([{ name: 'F.x', text }], {
        include: name => ({ name, text: 'const INCLUDED = 3;' }),
      })
      for (const problem of problems) formatProblem(problem)
      assert((found === null) === errorCount > 0, 'without an interface there is an error')
      if (found !== null) generate(found, { file: 'F.x', wireshark: true })
      return found === null
        ? (problems[0]?.message.replace(/"[^"]*"|\d+/g, '') ?? '')
        : `${found.types.length} types`
    },
  },
]
