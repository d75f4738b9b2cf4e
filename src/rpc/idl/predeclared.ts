/** What C programs have from `<rpc/rpc.h>`, so that interface files use it without a declaration. */
export const PREDECLARED = `
const MAX_NETOBJ_SZ = 1024;
const MAXNETNAMELEN = 255;
/* Bytes that mean something to who made them. */
typedef opaque netobj<1024>;
/* A key of the Data Encryption Standard. */
typedef opaque des_block[8];
`
