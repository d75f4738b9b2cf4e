import { describe, expect, it } from 'vitest'
import { analyze } from './analyze.ts'
import { formatProblem, locate } from './source.ts'
import { DEBIAN_CORPUS, include, OWN_CORPUS } from './testing/corpus.ts'

/** What is wrong with a text, as `line:column message`. */
function wrongs(text: string): string[] {
  return analyze([{ name: 'F.x', text }])
    .problems.filter(({ severity }) => severity === 'error')
    .map(problem => {
      const { line, column } = locate(problem.place)
      return `${line}:${column} ${problem.message}`
    })
}

function found(text: string, defines: Record<string, string> = {}) {
  const { interface: result, problems } = analyze([{ name: 'F.x', text }], { defines })
  expect(problems.map(formatProblem)).toEqual([])
  return result!
}

const constantsOf = (text: string, defines: Record<string, string> = {}) =>
  Object.fromEntries(
    found(text, defines)
      .constants.filter(({ isPredeclared }) => !isPredeclared)
      .map(({ name, value }) => [name, value]),
  )

describe('rpc/idl: what is accepted', () => {
  it('RFC 4506 §6.2: constants are decimal, hexadecimal or octal, and may be made of others', () => {
    const text =
      'const A = -10; const B = 0x1F; const C = 017; const D = B; const E = (A + 2*B) << 1; const S = "s";'
    expect(constantsOf(text)).toEqual({ A: -10n, B: 31n, C: 15n, D: 31n, E: 104n, S: 's' })
  })

  it('RFC 4506 §4.3: members of an enum have values by name, or one more than the one before', () => {
    const { types } = found('const K = 4; enum e { A, B = K, C, D = A, E = -2 };')
    const { body } = types.find(({ name }) => name === 'e')!
    expect(body.kind === 'enum' && body.members.map(({ name, value }) => [name, value])).toEqual([
      ['A', 0],
      ['B', 4],
      ['C', 5],
      ['D', 0],
      ['E', -2],
    ])
  })

  it('every form of declaration, inline types too, and names that are declared later', () => {
    const text = `
      typedef opaque a[4]; typedef opaque b<>; typedef string c<9>; typedef int d[3]; typedef later *e; typedef later f<2>;
      typedef struct { int x; } g; typedef enum { G1 = 1 } h;
      struct later { unsigned u; unsigned hyper v; long long w; struct { int y; } inner; union switch (int k) { case 0: void; } z; };`
    expect(found(text).types.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'later', 'later_inner', 'later_z']),
    )
  })

  it('rpcgen -N: several arguments, with names or without; void and () are none', () => {
    const text =
      'program P { version V { int ADD(int a, int b) = 1; string CAT(string, string) = 2; void X(void) = 3; void Y() = 4; } = 1; } = 9;'
    const { procedures } = found(text).programs[0]!.versions[0]!
    expect(procedures.map(({ parameters }) => parameters.map(({ name }) => name))).toEqual([
      ['a', 'b'],
      ['argument1', 'argument2'],
      [],
      [],
    ])
  })

  it('preprocessor: conditions, #define as a constant or as words, % lines, line marks, -D', () => {
    const text = `
#define LEN 0x10 /* how long */
#define WORD unsigned int
%#define FROM_C LEN+1
%this is for C { "
#if defined(WIDE) && LEVEL >= 2
const W = 2;
#elif !defined(WIDE)
const W = 1;
#else
const W = 0;
#endif
#ifndef LEN
what is here, nobody reads "
#endif
struct s { WORD x<LEN>; opaque o[FROM_C]; };`
    expect(constantsOf(text)).toEqual({ LEN: 16n, FROM_C: 17n, W: 1n })
    expect(constantsOf(text, { WIDE: '1', LEVEL: '3' })['W']).toBe(2n)
    const { problems } = analyze([{ name: 'F.x', text: '# 40 "other.x"\nstruct s { foo x; };' }])
    expect(locate(problems[0]!.place)).toMatchObject({ file: 'other.x', line: 40, column: 12 })
  })

  it('RFC 4506 §4.8: a quadruple is taken, with a warning of what will become of it', () => {
    const { interface: made, problems } = analyze([
      { name: 'F.x', text: 'struct s {\n  int a;\n  quadruple q;\n};' },
    ])
    expect(made?.types.map(({ name }) => name)).toContain('s')
    expect(problems.map(formatProblem)).toEqual([
      expect.stringMatching(/^F\.x:3:3: warning: no JavaScript value.*hint: opaque\[16\]/s),
    ])
  })

  it('comments go to what they stand in front of or behind', () => {
    const { types } = found(
      '/* licence */\n\n/* A thing. */\nstruct s {\n int a; /* first */\n /* second */\n int b;\n};',
    )
    const { doc, body } = types.at(-1)!
    expect([doc, ...(body.kind === 'struct' ? body.fields : []).map(field => field.doc)]).toEqual([
      'A thing.',
      'first',
      'second',
    ])
  })

  const why = DEBIAN_CORPUS.length === 0 ? ' (skipped: rpcsvc-proto is not installed)' : ''
  it.skipIf(why !== '')(`takes every interface file that Debian installs${why}`, () => {
    expect(DEBIAN_CORPUS.length).toBeGreaterThanOrEqual(12)
    for (const { files } of DEBIAN_CORPUS) {
      const { problems, interface: result } = analyze(files, { include })
      expect(problems.filter(({ severity }) => severity === 'error').map(formatProblem)).toEqual([])
      expect(result!.types.length).toBeGreaterThan(0)
    }
  })

  it('RFC 1813: NFS and MOUNT, with the numbers of the protocol', () => {
    const [mount, nfs] = ['mount3.x', 'nfs3.x'].map(name => {
      const { files } = OWN_CORPUS.find(one => one.name === name)!
      return found(files[0]!.text).programs[0]!
    })
    expect([mount!.number, mount!.versions[0]!.number, mount!.versions[0]!.procedures.length]).toEqual([
      100005, 3, 6,
    ])
    expect([nfs!.number, nfs!.versions[0]!.number, nfs!.versions[0]!.procedures.length]).toEqual([
      100003, 3, 22,
    ])
    expect(nfs!.versions[0]!.procedures.find(({ number }) => number === 21)!.name).toBe('NFSPROC3_COMMIT')
  })
})

describe('rpc/idl: what is refused', () => {
  it.each([
    ['struct s { foo x; };', ['1:12 there is no type "foo"']],
    ['const A = 1;\nenum e { A };', ['2:10 "A" is declared already']],
    [
      'struct s { int a; };\nunion s switch (int k) { case 0: void; };',
      ['2:7 the type "s" is declared already'],
    ],
    ['struct s { int a; int a; };', ['1:23 there is a field "a" already']],
    ['enum e { A = 2147483648 };', ['1:10 "A" is 2147483648, out of the range of an enum']],
    ['struct a { b x; };\nstruct b { a y[2]; };', ['1:8 "a" holds itself, so it has no end']],
    ['typedef x y<>; typedef y x<>;', ['1:11 the typedef "y" is made of itself']],
    ['typedef opaque o<N>;', ['1:18 there is no constant "N"']],
    ['typedef opaque o[-1];', ['1:18 a length cannot be -1']],
    ['const N = "x"; typedef opaque o[N];', ['1:33 a length is a number, not a string']],
    ['const A = B; const B = A;', ['1:7 the value of "A" is made of itself']],
    ['enum e { A }; union u switch (e d) { case 3: void; };', ['1:43 the enum of the discriminant has no 3']],
    [
      'union u switch (float d) { case 3: void; };',
      ['1:23 a discriminant is an int, an unsigned int, a bool or an enum'],
    ],
    ['union u switch (int d) { case 3: void; case 3: void; };', ['1:45 there is an arm for 3 already']],
    ['struct s { string x; };', ['1:20 this string has no length']],
    ['const A = 09;', ['1:11 "09" is not a number']],
    ['#if A\nconst B = 1;', ['1:1 this has no #endif']],
    ['/* for ever', ['1:1 this comment has no end']],
    ['#include "none.x"', ['1:1 none.x cannot be read']],
  ])('%s', (text, wanted) => {
    expect(wrongs(text)).toEqual(wanted)
  })

  it('numbers of programs, versions and procedures are there once', () => {
    const text = `program P { version V { void A(void) = 1; void B(void) = 1; void A(void) = 2; } = 1;
version W { void A(void) = 1; } = 1; } = 5;
program Q { version X { void A(void) = 1; } = 1; } = 5;`
    expect(
      wrongs(text)
        .map(line => line.replace(/^\S+ /, ''))
        .sort(),
    ).toEqual([
      'a procedure number 1 is there already',
      'a program number 5 is there already',
      'a version number 1 is there already',
      'there is a procedure "A" already',
    ])
  })

  it('tells several mistakes of one file, each with its line and a caret', () => {
    const { problems } = analyze([
      { name: 'F.x', text: 'struct s {\n\tint a\n\tfoo b;\n};\nconst = 3;\nenum e { A B };\n' },
    ])
    expect(problems.map(({ place }) => locate(place).line)).toEqual([2, 5, 6, 3])
    expect(formatProblem(problems[0]!)).toBe(
      'F.x:2:7: error: ";" is missing behind the field\n  \tint a\n  \t     ^',
    )
  })

  it('bounds what hostile text can cost: nesting, macros of macros, inclusion without end', () => {
    const doubling = Array.from({ length: 40 }, (_, i) => `#define m${i} m${i + 1} m${i + 1}`).join('\n')
    expect(wrongs(`${doubling}\nstruct s { m0 x; };`).length).toBeGreaterThan(0)
    expect(wrongs(`const A = ${'('.repeat(100_000)}1`).length).toBeGreaterThan(0)
    expect(wrongs(`const A = ${'1+'.repeat(100_000)}1;`).length).toBeGreaterThan(0)
    expect(wrongs(`struct s ${'{ struct '.repeat(100_000)}`).length).toBeGreaterThan(0)
    const endless = analyze([{ name: 'F.x', text: '#include "F.x"\n#include "F.x"\n' }], {
      include: name => ({ name, text: '#include "F.x"\n#include "F.x"\n' }),
    })
    expect(endless.errorCount).toBeGreaterThan(0)
  })
})
