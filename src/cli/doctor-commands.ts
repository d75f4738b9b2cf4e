/** `putnext doctor`, as data; see {@link CommandSpec}. */
import type { CommandSpec } from './command.ts'

export const DOCTOR: CommandSpec = {
  name: 'doctor',
  summary: 'what this machine allows, and how to get the rest',
  description:
    'Looks at the native shim, the TUN device, privileges, user namespaces and tools, and opens a device in a namespace that goes away with the command. ' +
    'Exit code 77 if a privilege is missing, 1 if something else is, 0 if nodes can run here.',
  examples: [
    { command: 'doctor', text: 'before the first lab' },
    { command: 'doctor --json', text: 'for a script' },
  ],
  load: async () => (await import('./doctor.ts')).doctor,
}

/** Run by the doctor in a namespace of its own; not in the help. */
export const DOCTOR_PROBE: CommandSpec = {
  name: 'doctor-probe',
  summary: 'open a TUN device here and tell what it can do',
  examples: [{ command: 'doctor-probe --json', text: 'in a namespace of its own' }],
  load: async () => (await import('./doctor.ts')).doctorProbe,
}
