/** The commands about TCP by hand, as data; see {@link CommandSpec}. */
import type { CommandSpec } from './command.ts'

const tcpScript: CommandSpec = {
  name: 'tcp script',
  summary: 'drive the TCP of this stack by a script, in virtual time',
  description:
    'Reads commands on stdin, one JSON object a line, and answers each with one line of JSON on stdout: socket calls, packets injected and expected, time ' +
    'that passes when it is told to. There is no device, no privilege, no real time, and the same script has the same answers. ' +
    'A line that is wrong is answered with an error, and the script goes on. See docs/guides/scripting-tcp.md.',
  examples: [
    { command: 'tcp script < docs/examples/scripts/handshake.jsonl', text: 'run a script' },
    {
      command: 'tcp script <<< \'{"cmd":"config"}\'',
      text: 'what the stack begins with',
    },
  ],
  streams: true,
  load: async () => (await import('./tcp-script.ts')).tcpScript,
}

export const TCP_COMMANDS: readonly CommandSpec[] = [tcpScript]
