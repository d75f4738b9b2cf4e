/** What the answer to POST /capture carries beside the packets. */

/** Header: the number of the capture, for `/capture/stop`. */
export const CAPTURE_ID_HEADER = 'putnext-capture'
/** Trailer: what was captured, as JSON. */
export const CAPTURE_TOTALS_TRAILER = 'putnext-capture-totals'
