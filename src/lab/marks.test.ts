import { spawn } from 'node:child_process'
import { afterEach, describe, expect, it } from 'vitest'
import {
  endProcesses,
  isAlive,
  isPaused,
  labMark,
  MARK_VARIABLE,
  markedProcesses,
  recordOf,
  signalProcess,
} from './marks.ts'

const linux = process.platform === 'linux'
const started: number[] = []

function sleeper(mark: string, command = 'exec sleep 60'): number {
  const child = spawn('/bin/sh', ['-c', command], {
    env: { ...process.env, [MARK_VARIABLE]: mark },
    stdio: 'ignore',
  })
  started.push(child.pid!)
  return child.pid!
}

afterEach(() => {
  for (const pid of started.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
})

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise(resolve => setTimeout(resolve, 5))
}

describe.skipIf(!linux)(linux ? 'lab/marks' : 'lab/marks [skipped: needs /proc]', () => {
  it('a process is known by its number and the time it started; another with that number is left alone', () => {
    const record = recordOf(sleeper('m'))!
    expect(isAlive(record)).toBe(true)
    const later = { pid: record.pid, startTime: String(Number(record.startTime) + 1) }
    expect(isAlive(later)).toBe(false)
    expect(signalProcess(later, 'SIGKILL')).toBe(false)
    expect(isAlive(record)).toBe(true)
  })

  it('the mark is found in the environment, whole and in children too, and never in this process', async () => {
    const mark = labMark('x', 'marks-test-1')
    const pid = sleeper(mark, 'sleep 60 & wait')
    await until(() => markedProcesses(mark).length === 2)
    expect(markedProcesses(mark).map(one => one.pid)).toContain(pid)
    expect(markedProcesses(labMark('x', 'marks-test-'))).toEqual([])
    await endProcesses(() => markedProcesses(mark))
    expect(markedProcesses(mark)).toEqual([])
  })

  it('a process that does not listen, or is paused, is ended all the same', async () => {
    const deaf = recordOf(sleeper('m', "trap '' TERM; while :; do sleep 0.05; done"))!
    const paused = recordOf(sleeper('m'))!
    signalProcess(paused, 'SIGSTOP')
    await until(() => isPaused(paused))
    const left = await endProcesses(() => [deaf, paused].filter(isAlive), 200)
    expect(left).toEqual([])
    expect([deaf, paused].filter(isAlive)).toEqual([])
  })
})
