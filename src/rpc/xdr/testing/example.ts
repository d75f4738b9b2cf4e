/**
 * By hand, what `rpcgen` makes of an interface with every kind of type. The lines of the `.x` file stand in front of
 * what they become. A type `color` is the TypeScript type `Color` and the codec `colorXdr`.
 */
import {
  type XdrCodec,
  type XdrOpaque,
  xdrArray,
  xdrEnum,
  xdrInt,
  xdrOpaqueFixed,
  xdrString,
  xdrUint,
} from '../index.ts'

/** `const MAX_NAME = 255;` */
export const MAX_NAME = 255

/** `enum color { RED = 2, GREEN = 3, BLUE = 5 };` */
export const Color = { RED: 2, GREEN: 3, BLUE: 5 } as const
export type Color = (typeof Color)[keyof typeof Color]
export const colorXdr: XdrCodec<Color> = xdrEnum(Color)
const COLORS: ReadonlySet<Color> = new Set(Object.values(Color))

/** `typedef opaque handle[32];` */
export type Handle = Uint8Array
export const handleXdr: XdrCodec<Handle> = xdrOpaqueFixed(32)

/** `typedef string name<MAX_NAME>;` */
export type Name = string
export const nameXdr: XdrCodec<Name> = xdrString(MAX_NAME)

/** `typedef unsigned int groups<16>;` */
export type Groups = readonly number[]
export const groupsXdr: XdrCodec<Groups> = xdrArray(xdrUint, 16)

/** `struct everything { … };` with the line of each field. */
export interface Everything {
  /** `int a;` */
  readonly a: number
  /** `unsigned int b;` */
  readonly b: number
  /** `hyper c;` */
  readonly c: bigint
  /** `unsigned hyper size;` where the interface says that a number will do */
  readonly size: number
  /** `float f;` */
  readonly f: number
  /** `double d;` */
  readonly d: number
  /** `bool flag;` */
  readonly flag: boolean
  /** `color paint;` */
  readonly paint: Color
  /** `name title;` */
  readonly title: Name
  /** `handle where;` */
  readonly where: Handle
  /** `opaque cookie<64>;` */
  readonly cookie: Uint8Array
  /** `opaque data<>;` without a copy */
  readonly data: XdrOpaque
  /** `int triple[3];` */
  readonly triple: readonly number[]
  /** `name tags<>;` */
  readonly tags: readonly Name[]
  /** `tree *root;` */
  readonly root: Tree | null
  /** `entry *entries;` a linked list, here an array */
  readonly entries: readonly Entry[]
  /** `result outcome;` */
  readonly outcome: Result
}

export const everythingXdr: XdrCodec<Everything> = {
  encode(xdr, value) {
    xdr.putInt('a', value.a)
    xdr.putUint('b', value.b)
    xdr.putHyper('c', value.c)
    xdr.putUhyperNumber('size', value.size)
    xdr.putFloat('f', value.f)
    xdr.putDouble('d', value.d)
    xdr.putBool('flag', value.flag)
    xdr.putEnum('paint', value.paint, COLORS)
    xdr.putString('title', value.title, MAX_NAME)
    xdr.putOpaqueFixed('where', value.where, 32)
    xdr.putOpaque('cookie', value.cookie, 64)
    xdr.putOpaque('data', value.data)
    xdr.putArrayFixed('triple', value.triple, xdrInt, 3)
    xdr.putArray('tags', value.tags, nameXdr)
    xdr.putOptional('root', value.root, treeXdr)
    xdr.putList('entries', value.entries, entryXdr)
    xdr.putNested('outcome', value.outcome, resultXdr)
  },
  decode(xdr) {
    return {
      a: xdr.int('a'),
      b: xdr.uint('b'),
      c: xdr.hyper('c'),
      size: xdr.uhyperNumber('size'),
      f: xdr.float('f'),
      d: xdr.double('d'),
      flag: xdr.bool('flag'),
      paint: xdr.enum('paint', COLORS),
      title: xdr.string('title', MAX_NAME),
      where: xdr.opaqueFixed('where', 32),
      cookie: xdr.opaque('cookie', 64),
      data: xdr.opaqueView('data'),
      triple: xdr.arrayFixed('triple', xdrInt, 3),
      tags: xdr.array('tags', nameXdr),
      root: xdr.optional('root', treeXdr),
      entries: xdr.list('entries', entryXdr),
      outcome: xdr.nested('outcome', resultXdr),
    }
  },
}

/** `struct entry { name item; entry *next; };` its last field is the rest of the list, so it is an element here. */
export interface Entry {
  readonly item: Name
}

export const entryXdr: XdrCodec<Entry> = {
  encode(xdr, value) {
    xdr.putString('item', value.item, MAX_NAME)
  },
  decode(xdr) {
    return {
      item: xdr.string('item', MAX_NAME),
    }
  },
}

/** `struct tree { int value; tree *left; tree *right; };` no list: it nests, as deep as the decoder allows. */
export interface Tree {
  readonly value: number
  readonly left: Tree | null
  readonly right: Tree | null
}

export const treeXdr: XdrCodec<Tree> = {
  encode(xdr, value) {
    xdr.putInt('value', value.value)
    xdr.putOptional('left', value.left, treeXdr)
    xdr.putOptional('right', value.right, treeXdr)
  },
  decode(xdr) {
    return {
      value: xdr.int('value'),
      left: xdr.optional('left', treeXdr),
      right: xdr.optional('right', treeXdr),
    }
  },
}

/** `union result switch (color paint) { case RED: string why<>; case GREEN: case BLUE: void; };` */
export type Result =
  | { readonly paint: typeof Color.RED; readonly why: string }
  | { readonly paint: typeof Color.GREEN | typeof Color.BLUE }

export const resultXdr: XdrCodec<Result> = {
  encode(xdr, value) {
    switch (value.paint) {
      case Color.RED:
        xdr.putInt('paint', Color.RED)
        xdr.putString('why', value.why)
        break
      case Color.GREEN:
      case Color.BLUE:
        xdr.putInt('paint', value.paint)
        break
      default:
        xdr.refuseDiscriminant('paint', (value as Result).paint)
    }
  },
  decode(xdr) {
    const paint = xdr.enum('paint', COLORS)
    switch (paint) {
      case Color.RED:
        return { paint, why: xdr.string('why') }
      case Color.GREEN:
      case Color.BLUE:
        return { paint }
      default:
        return xdr.failDiscriminant('paint', paint)
    }
  },
}

/** `union lookup switch (int status) { case 0: handle found; default: void; };` */
export type Lookup =
  | { readonly status: 0; readonly found: Handle }
  | { readonly status: number; readonly found?: never }

export const lookupXdr: XdrCodec<Lookup> = {
  encode(xdr, value) {
    xdr.putInt('status', value.status)
    switch (value.status) {
      case 0:
        xdr.putOpaqueFixed('found', (value as { found: Handle }).found, 32)
        break
    }
  },
  decode(xdr) {
    const status = xdr.int('status')
    switch (status) {
      case 0:
        return { status, found: xdr.opaqueFixed('found', 32) }
      default:
        return { status }
    }
  },
}
