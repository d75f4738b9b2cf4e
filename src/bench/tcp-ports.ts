/** Where the services of a TCP measurement stand (RFC 862, 863, 864). */
export const PORT_ECHO = 7
export const PORT_DISCARD = 9
export const PORT_CHARGEN = 19
/** Reads to the end and answers with a digest of what came: no service of any standard. */
export const PORT_DIGEST = 4_007
