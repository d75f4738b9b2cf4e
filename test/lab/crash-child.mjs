// Brings a lab up and kills itself without warning once the journal has so many entries, as a crash would.
// Usage: node crash-child.mjs FILE STATE ENTRIES

import { loadShim } from '../../dist/host/shim.js'
import { readLab } from '../../dist/lab/lab-file.js'
import { bringUp } from '../../dist/lab/up.js'

const [file = '', state = '', entries = '0'] = process.argv.slice(2)
let left = Number(entries)

await bringUp(readLab(file), {
  shim: loadShim(),
  state,
  onJournal: () => {
    if (left-- === 1) process.kill(process.pid, 'SIGKILL')
  },
})
// Nodes are children, and their ends are listened for.
process.exit(0)
