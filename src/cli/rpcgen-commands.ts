/** The compiler of interface files, as data; see {@link CommandSpec}. */
import type { CommandSpec } from './command.ts'

const rpcgen: CommandSpec = {
  name: 'rpcgen',
  summary: 'make TypeScript from an interface file of ONC RPC',
  description:
    'FILE is in the language of RFC 5531 and RFC 4506, as C programs give it to their rpcgen. Types, codecs, a table of procedures, a client and a ' +
    'server skeleton are written to DIR, with the comments of FILE; the same FILE gives the same bytes. Without DIR the file is only checked. ' +
    'In comments, @number makes a hyper a number, @view an opaque one that is not copied, @latin1 a string of bytes, and @idempotent says of a ' +
    'procedure that it may be done twice. Exit code 3 if FILE has errors.',
  arguments: [{ name: 'FILE', summary: 'F.x' }],
  options: {
    out: {
      type: 'string',
      short: 'o',
      value: 'DIR',
      summary: 'where to; made if it is not there',
      fallback: 'only check',
    },
    wireshark: { type: 'flag', summary: 'also a dissector for Wireshark, in Lua' },
    with: {
      type: 'string',
      repeat: true,
      value: 'FILE',
      summary: 'read this file before FILE, as one with it',
    },
    include: {
      type: 'string',
      short: 'I',
      repeat: true,
      value: 'DIR',
      summary: 'look here too for what is included',
    },
    define: { type: 'string', short: 'D', repeat: true, value: 'NAME[=TEXT]', summary: 'as if by #define' },
    hyper: {
      type: 'string',
      value: 'FORM',
      choices: ['bigint', 'number'],
      summary: 'what a hyper is',
      fallback: 'bigint',
    },
    strings: {
      type: 'string',
      value: 'FORM',
      choices: ['utf8', 'latin1'],
      summary: 'how the bytes of a string are read',
      fallback: 'utf8',
    },
    views: { type: 'flag', summary: 'every opaque is a view of the message, not a copy' },
    imports: {
      type: 'string',
      value: 'SUFFIX',
      choices: ['.ts', '.js'],
      summary: 'how the files name each other',
      fallback: '.ts',
    },
  },
  examples: [
    {
      command: 'rpcgen nfs3.x -o src/nfs',
      text: 'nfs3-types.ts, -codecs.ts, -procedures.ts, -client.ts and -server.ts',
    },
    { command: 'rpcgen calc.x -o build --wireshark', text: 'calc.lua too' },
    { command: 'rpcgen nis_callback.x --with nis.x', text: 'only a check, of a file that needs another' },
  ],
  load: async () => (await import('./rpcgen.ts')).rpcgen,
}

export const RPCGEN_COMMANDS: readonly CommandSpec[] = [rpcgen]
