/** The Unix socket of a control port: only its owner may connect, and a dead node's is taken over. */
import { chmodSync, lstatSync, rmSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { StackError } from '../base/errors.ts'
import { makeStateDirectory, SOCKET_PATH_BYTES_MAX } from './state-dir.ts'

/** Nobody but the owner: rw------- */
const MODE = 0o600
const UMASK = 0o177
const PROBE_TIMEOUT_MS = 1_000

/**
 * Listens on a socket file.
 * @throws StackError `ERR_ADDR_IN_USE` a node lives there, or the file is no socket; `ERR_ACCESS`; `ERR_BAD_CONFIG` the
 * path is too long
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX)
    throw new StackError(
      'ERR_BAD_CONFIG',
      `the socket path ${path} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`,
    )
  makeStateDirectory(dirname(path))
  await takeOver(path)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(path, cause)))
    // The file is made inside this call, so the mask concerns nothing else; a worker thread cannot set one.
    const before = isMainThread ? process.umask(UMASK) : null
    try {
      server.listen(path, () => resolve())
    } finally {
      if (before !== null) process.umask(before)
    }
  })
  // One connection that cannot be taken (EMFILE) is no reason to end the node.
  server.on('error', () => {})
  chmodSync(path, MODE)
}

function listenError(path: string, cause: NodeJS.ErrnoException): StackError {
  if (cause.code === 'EADDRINUSE')
    return new StackError('ERR_ADDR_IN_USE', `a node already listens on ${path}`, { cause })
  return new StackError('ERR_ACCESS', `cannot listen on ${path} (${cause.code})`, {
    cause,
    hint: 'choose another path with "control" in the configuration, or PUTNEXT_STATE_DIR',
  })
}

/** Removes the socket file of a node that has died; leaves everything else alone. */
async function takeOver(path: string): Promise<void> {
  await assertFree(path)
  rmSync(path, { force: true })
}

/**
 * Makes sure that no node listens on a path, before anything is opened for one that would.
 * @throws StackError `ERR_ADDR_IN_USE`
 */
export async function assertFree(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket())
    throw new StackError('ERR_ADDR_IN_USE', `${path} exists and is no socket`, {
      hint: 'choose another path, or remove that file',
    })
  if (await isAlive(path))
    throw new StackError('ERR_ADDR_IN_USE', `a node already listens on ${path}`, {
      hint: 'end it with "putnext node stop", or give this one another name',
    })
}

/** Whether somebody listens on a socket file. */
export function isAlive(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    const settle = (alive: boolean): void => {
      socket.destroy()
      resolve(alive)
    }
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(true))
    socket.on('connect', () => settle(true))
    // A full backlog (EAGAIN) or a refusal by mode is a living node's; only nobody behind the file is dead.
    socket.on('error', (error: NodeJS.ErrnoException) =>
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}
