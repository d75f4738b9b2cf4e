/** Captures that go to files. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { StackError } from '../base/errors.ts'
import { makeCaptureModule } from './capture.ts'
import type { CaptureSink } from './capture-recording.ts'

/**
 * Opens a file for a capture; what it held is gone.
 * @throws StackError `ERR_PERMISSION`, `ERR_NOT_FOUND` or `ERR_HOST`, naming the file
 */
export function openCaptureFile(path: string): CaptureSink {
  let fd = open(path)
  return {
    startedAtUs: Date.now() * 1_000,
    write(bytes) {
      for (let at = 0; at < bytes.length && fd >= 0; ) at += writeSync(fd, bytes, at)
    },
    close() {
      if (fd >= 0) closeSync(fd)
      fd = -1
    },
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'w', 0o644)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const ours =
      code === 'EACCES' || code === 'EPERM'
        ? 'ERR_PERMISSION'
        : code === 'ENOENT'
          ? 'ERR_NOT_FOUND'
          : 'ERR_HOST'
    throw new StackError(ours, `cannot write the capture file ${path}: ${(cause as Error).message}`, {
      cause,
    })
  }
}

/** Module "capture", with files. */
export const captureModule = makeCaptureModule(openCaptureFile)
