// Made from every-type.x by putnext rpcgen. Edits are lost when it runs again.
import {
  type XdrCodec,
  xdrArrayFixed,
  xdrBool,
  xdrEnum,
  xdrFloat,
  xdrHyper,
  xdrInt,
  xdrOpaque,
  xdrOpaqueFixed,
  xdrString,
  xdrUint,
} from '../../../src/rpc/xdr/index.ts'
import {
  type Blob,
  Color,
  type Entry,
  type Everything,
  type Handle,
  type Lookup,
  type Matrix,
  type Maybe,
  type Measure,
  type More,
  type Name,
  type Result,
  type Row,
  type Tree,
} from './every-type-types.ts'

export const colorXdr: XdrCodec<Color> = xdrEnum(Color)
export const colorValues: ReadonlySet<Color> = new Set(Object.values(Color))

export const handleXdr: XdrCodec<Handle> = xdrOpaqueFixed(32)

export const nameXdr: XdrCodec<Name> = xdrString(255)

export const blobXdr: XdrCodec<Blob> = xdrOpaque()

export const rowXdr: XdrCodec<Row> = xdrArrayFixed(xdrInt, 4)

export const matrixXdr: XdrCodec<Matrix> = {
  encode(xdr, value) {
    xdr.putArrayFixed('rows', value.rows, rowXdr, 2)
  },
  decode(xdr) {
    return {
      rows: xdr.arrayFixed('rows', rowXdr, 2),
    }
  },
}

export const entryXdr: XdrCodec<Entry> = {
  encode(xdr, value) {
    xdr.putString('item', value.item, 255)
  },
  decode(xdr) {
    return {
      item: xdr.string('item', 255),
    }
  },
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

export const resultXdr: XdrCodec<Result> = {
  encode(xdr, value) {
    xdr.putEnum('paint', value.paint, colorValues)
    switch (value.paint) {
      case Color.RED:
        xdr.putString('why', value.why)
        break
    }
  },
  decode(xdr) {
    const discriminant = xdr.enum('paint', colorValues)
    switch (discriminant) {
      case Color.RED:
        return { paint: discriminant, why: xdr.string('why') }
      case Color.GREEN:
      case Color.BLUE:
        return { paint: discriminant }
    }
  },
}

export const lookupXdr: XdrCodec<Lookup> = {
  encode(xdr, value) {
    xdr.putInt('status', value.status)
    switch (value.status) {
      case 0:
        xdr.putOpaqueFixed('found', (value as { readonly found: Handle }).found, 32)
        break
      case 1:
        xdr.putHyper('moved', (value as { readonly moved: bigint }).moved)
        break
    }
  },
  decode(xdr) {
    const discriminant = xdr.int('status')
    switch (discriminant) {
      case 0:
        return { status: discriminant, found: xdr.opaqueFixed('found', 32) }
      case 1:
        return { status: discriminant, moved: xdr.hyper('moved') }
      default:
        return { status: discriminant }
    }
  },
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
    xdr.putEnum('paint', value.paint, colorValues)
    xdr.putString('title', value.title, 255)
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
      paint: xdr.enum('paint', colorValues),
      title: xdr.string('title', 255),
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

export const maybeXdr: XdrCodec<Maybe> = {
  encode(xdr, value) {
    xdr.putBool('known', value.known)
    switch (value.known) {
      case true:
        xdr.putDouble('value', value.value)
        break
    }
  },
  decode(xdr) {
    const discriminant = xdr.bool('known')
    switch (discriminant) {
      case true:
        return { known: discriminant, value: xdr.double('value') }
      case false:
        return { known: discriminant }
    }
  },
}

export const measureXdr: XdrCodec<Measure> = {
  encode(xdr, value) {
    xdr.putUint('size', value.size)
    switch (value.size) {
      case 0:
        break
      case 4000000000:
        xdr.putString('unit', (value as { readonly unit: string }).unit)
        break
      default:
        xdr.putNested('grid', (value as { readonly grid: Matrix }).grid, matrixXdr)
    }
  },
  decode(xdr) {
    const discriminant = xdr.uint('size')
    switch (discriminant) {
      case 0:
        return { size: discriminant }
      case 4000000000:
        return { size: discriminant, unit: xdr.string('unit') }
      default:
        return { size: discriminant, grid: xdr.nested('grid', matrixXdr) }
    }
  },
}

export const moreXdr: XdrCodec<More> = {
  encode(xdr, value) {
    xdr.putNested('answer', value.answer, maybeXdr)
    xdr.putNested('length', value.length, measureXdr)
    xdr.putOptional('later', value.later, xdrHyper)
    xdr.putArray('grids', value.grids, matrixXdr, 4)
    xdr.putArrayFixed('words', value.words, xdrUint, 2)
    xdr.putArray('halves', value.halves, xdrFloat)
    xdr.putArray('flags', value.flags, xdrBool, 8)
    xdr.putArrayFixed('paints', value.paints, colorXdr, 2)
    xdr.putArray('places', value.places, handleXdr)
    xdr.putUhyper('total', value.total)
  },
  decode(xdr) {
    return {
      answer: xdr.nested('answer', maybeXdr),
      length: xdr.nested('length', measureXdr),
      later: xdr.optional('later', xdrHyper),
      grids: xdr.array('grids', matrixXdr, 4),
      words: xdr.arrayFixed('words', xdrUint, 2),
      halves: xdr.array('halves', xdrFloat),
      flags: xdr.array('flags', xdrBool, 8),
      paints: xdr.arrayFixed('paints', colorXdr, 2),
      places: xdr.array('places', handleXdr),
      total: xdr.uhyper('total'),
    }
  },
}
