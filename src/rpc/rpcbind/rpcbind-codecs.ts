// Made from rpcbind.x by putnext rpcgen. Edits are lost when it runs again.
import { type XdrCodec, xdrArrayFixed, xdrInt } from '../xdr/index.ts'
import type {
  Netbuf,
  Pmap,
  PmapCallArgs,
  PmapCallResult,
  Pmaplist,
  Rpcb,
  RpcbCallArgs,
  RpcbCallResult,
  RpcbEntry,
  RpcbEntryList,
  Rpcblist,
  RpcbStat,
  RpcbStatByvers,
  RpcbsAddrlist,
  RpcbsRmtcalllist,
} from './rpcbind-types.ts'

export const pmapXdr: XdrCodec<Pmap> = {
  encode(xdr, value) {
    xdr.putUint('prog', value.prog)
    xdr.putUint('vers', value.vers)
    xdr.putUint('protocol', value.protocol)
    xdr.putUint('port', value.port)
  },
  decode(xdr) {
    return {
      prog: xdr.uint('prog'),
      vers: xdr.uint('vers'),
      protocol: xdr.uint('protocol'),
      port: xdr.uint('port'),
    }
  },
}

export const pmaplistXdr: XdrCodec<Pmaplist> = {
  encode(xdr, value) {
    xdr.putNested('map', value.map, pmapXdr)
  },
  decode(xdr) {
    return {
      map: xdr.nested('map', pmapXdr),
    }
  },
}

export const pmapCallArgsXdr: XdrCodec<PmapCallArgs> = {
  encode(xdr, value) {
    xdr.putUint('prog', value.prog)
    xdr.putUint('vers', value.vers)
    xdr.putUint('proc', value.proc)
    xdr.putOpaque('args', value.args)
  },
  decode(xdr) {
    return {
      prog: xdr.uint('prog'),
      vers: xdr.uint('vers'),
      proc: xdr.uint('proc'),
      args: xdr.opaque('args'),
    }
  },
}

export const pmapCallResultXdr: XdrCodec<PmapCallResult> = {
  encode(xdr, value) {
    xdr.putUint('port', value.port)
    xdr.putOpaque('result', value.result)
  },
  decode(xdr) {
    return {
      port: xdr.uint('port'),
      result: xdr.opaque('result'),
    }
  },
}

export const rpcbXdr: XdrCodec<Rpcb> = {
  encode(xdr, value) {
    xdr.putUint('prog', value.prog)
    xdr.putUint('vers', value.vers)
    xdr.putString('netid', value.netid)
    xdr.putLatin1('address', value.address)
    xdr.putLatin1('owner', value.owner)
  },
  decode(xdr) {
    return {
      prog: xdr.uint('prog'),
      vers: xdr.uint('vers'),
      netid: xdr.string('netid'),
      address: xdr.latin1('address'),
      owner: xdr.latin1('owner'),
    }
  },
}

export const rpcblistXdr: XdrCodec<Rpcblist> = {
  encode(xdr, value) {
    xdr.putNested('map', value.map, rpcbXdr)
  },
  decode(xdr) {
    return {
      map: xdr.nested('map', rpcbXdr),
    }
  },
}

export const rpcbCallArgsXdr: XdrCodec<RpcbCallArgs> = {
  encode(xdr, value) {
    xdr.putUint('prog', value.prog)
    xdr.putUint('vers', value.vers)
    xdr.putUint('proc', value.proc)
    xdr.putOpaque('args', value.args)
  },
  decode(xdr) {
    return {
      prog: xdr.uint('prog'),
      vers: xdr.uint('vers'),
      proc: xdr.uint('proc'),
      args: xdr.opaque('args'),
    }
  },
}

export const rpcbCallResultXdr: XdrCodec<RpcbCallResult> = {
  encode(xdr, value) {
    xdr.putLatin1('address', value.address)
    xdr.putOpaque('result', value.result)
  },
  decode(xdr) {
    return {
      address: xdr.latin1('address'),
      result: xdr.opaque('result'),
    }
  },
}

export const rpcbEntryXdr: XdrCodec<RpcbEntry> = {
  encode(xdr, value) {
    xdr.putLatin1('address', value.address)
    xdr.putString('netid', value.netid)
    xdr.putUint('semantics', value.semantics)
    xdr.putString('family', value.family)
    xdr.putString('protocol', value.protocol)
  },
  decode(xdr) {
    return {
      address: xdr.latin1('address'),
      netid: xdr.string('netid'),
      semantics: xdr.uint('semantics'),
      family: xdr.string('family'),
      protocol: xdr.string('protocol'),
    }
  },
}

export const rpcbEntryListXdr: XdrCodec<RpcbEntryList> = {
  encode(xdr, value) {
    xdr.putNested('entry', value.entry, rpcbEntryXdr)
  },
  decode(xdr) {
    return {
      entry: xdr.nested('entry', rpcbEntryXdr),
    }
  },
}

export const netbufXdr: XdrCodec<Netbuf> = {
  encode(xdr, value) {
    xdr.putUint('maxlen', value.maxlen)
    xdr.putOpaque('bytes', value.bytes)
  },
  decode(xdr) {
    return {
      maxlen: xdr.uint('maxlen'),
      bytes: xdr.opaque('bytes'),
    }
  },
}

export const rpcbsAddrlistXdr: XdrCodec<RpcbsAddrlist> = {
  encode(xdr, value) {
    xdr.putUint('prog', value.prog)
    xdr.putUint('vers', value.vers)
    xdr.putInt('success', value.success)
    xdr.putInt('failure', value.failure)
    xdr.putString('netid', value.netid)
  },
  decode(xdr) {
    return {
      prog: xdr.uint('prog'),
      vers: xdr.uint('vers'),
      success: xdr.int('success'),
      failure: xdr.int('failure'),
      netid: xdr.string('netid'),
    }
  },
}

export const rpcbsRmtcalllistXdr: XdrCodec<RpcbsRmtcalllist> = {
  encode(xdr, value) {
    xdr.putUint('prog', value.prog)
    xdr.putUint('vers', value.vers)
    xdr.putUint('proc', value.proc)
    xdr.putInt('success', value.success)
    xdr.putInt('failure', value.failure)
    xdr.putInt('indirect', value.indirect)
    xdr.putString('netid', value.netid)
  },
  decode(xdr) {
    return {
      prog: xdr.uint('prog'),
      vers: xdr.uint('vers'),
      proc: xdr.uint('proc'),
      success: xdr.int('success'),
      failure: xdr.int('failure'),
      indirect: xdr.int('indirect'),
      netid: xdr.string('netid'),
    }
  },
}

export const rpcbStatXdr: XdrCodec<RpcbStat> = {
  encode(xdr, value) {
    xdr.putArrayFixed('calls', value.calls, xdrInt, 13)
    xdr.putInt('set', value.set)
    xdr.putInt('unset', value.unset)
    xdr.putList('addresses', value.addresses, rpcbsAddrlistXdr)
    xdr.putList('remoteCalls', value.remoteCalls, rpcbsRmtcalllistXdr)
  },
  decode(xdr) {
    return {
      calls: xdr.arrayFixed('calls', xdrInt, 13),
      set: xdr.int('set'),
      unset: xdr.int('unset'),
      addresses: xdr.list('addresses', rpcbsAddrlistXdr),
      remoteCalls: xdr.list('remoteCalls', rpcbsRmtcalllistXdr),
    }
  },
}

export const rpcbStatByversXdr: XdrCodec<RpcbStatByvers> = xdrArrayFixed(rpcbStatXdr, 3)
