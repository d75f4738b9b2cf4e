/**
 * Loaded into the measured node's process in front of its program (`node --import`): answers questions about its heap
 * over the channel to the parent. It costs nothing while nobody asks. A node whose bench has died ends.
 */
import { HeapWatch } from './heap.ts'

/** What may be asked: `collected` collects first. */
export type ProbeQuestion = 'now' | 'collected'

if (process.send !== undefined) {
  const heap = new HeapWatch()
  process.on('message', (question: ProbeQuestion) => {
    const answer = question === 'collected' ? heap.collected() : heap.now()
    void answer.then(state => process.send?.(state))
  })
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  // The channel alone must not keep the node alive.
  process.channel?.unref()
}
