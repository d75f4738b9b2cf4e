/**
 * What many chunks ask of a process's memory. A chunk is the program's to keep, so each is new memory: of the C library, and
 * garbage soon. Left alone, glibc gives freed pages back to the kernel, which clears them for the next chunk (250 page faults a
 * megabyte), and V8, which counts 30 MB of chunks against a heap of 8 MB, marks the whole heap again and again. Both cost several times
 * what the copy costs (docs/benchmarks.md). A process that moves much is therefore prepared once.
 */

/** Bytes of chunks after which preparing pays. */
const MUCH_BYTES = 64 * 1024 * 1024
/**
 * Freeing a block of this size, just below glibc's DEFAULT_MMAP_THRESHOLD_MAX, raises its mmap threshold to it and its trim threshold to
 * twice that: smaller blocks stay in the process (mallopt(3), "dynamic mmap threshold"). Its pages are never touched.
 */
const UNMAPPED_BYTES = 32 * 1024 * 1024 - 64 * 1024
/** A heap of this size lets V8 collect young garbage in time, without marking. */
const HEAP_BYTES = 16 * 1024 * 1024
const BYTES_EACH = 8

let seen = 0
let weight: readonly number[] | null = null

/** Counts the bytes of a chunk that is made for a program. */
export function countChunk(bytes: number): void {
  if (seen > MUCH_BYTES) return
  seen += bytes
  if (seen > MUCH_BYTES) prepare()
}

function prepare(): void {
  Buffer.allocUnsafeSlow(UNMAPPED_BYTES)
  const missing = HEAP_BYTES - process.memoryUsage().heapUsed
  // Numbers with a fraction lie in one block that the collector need not look into.
  if (missing > 0) weight = new Array<number>(Math.ceil(missing / BYTES_EACH)).fill(0.5)
}

/** Bytes that {@link countChunk} added to the heap of the process. */
export function heapWeight(): number {
  return (weight?.length ?? 0) * BYTES_EACH
}
