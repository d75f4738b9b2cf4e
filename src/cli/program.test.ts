import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { StackError } from '../base/errors.ts'
import type { CommandSpec, OptionSpec } from './command.ts'
import { COMMANDS, GROUPS } from './commands.ts'
import { completionScript, SHELLS } from './completion.ts'
import { EXIT_CHECK_FAILED, EXIT_CODES, exitCodeOf, UsageError } from './exit-codes.ts'
import { parseArguments, parseDuration } from './parse.ts'
import { tcpSettingsReference } from './plumb-settings.ts'
import { packageVersion } from './program.ts'
import { reference } from './reference.ts'
import { type RunOptions, runLine, type Said } from './testing.ts'

const OPTIONS: Readonly<Record<string, OptionSpec>> = {
  count: { type: 'integer', short: 'c', value: 'N', min: 1, max: 9, summary: 'how many' },
  interval: { type: 'duration', short: 'i', value: 'TIME', summary: 'how long' },
  at: { type: 'string', value: 'PLACE', summary: 'where' },
  module: { type: 'string', repeat: true, summary: 'which' },
  mode: { type: 'string', choices: ['a', 'b'], summary: 'how' },
  fast: { type: 'flag', short: 'f', summary: 'at once' },
}

const command = (
  name: string,
  run: Awaited<ReturnType<CommandSpec['load']>>,
  more: Partial<CommandSpec> = {},
): CommandSpec => ({
  name,
  summary: `does ${name}`,
  examples: [{ command: `${name} x`, text: 'an example' }],
  load: async () => run,
  ...more,
})

const TABLE = {
  commands: [
    command(
      'echo',
      async ({ args, out }) => {
        const shown = {
          where: args.required('WHERE'),
          more: args.list('MORE'),
          count: args.number('count'),
          interval: args.number('interval'),
          at: args.string('at'),
          modules: args.strings('module'),
          mode: args.string('mode'),
          fast: args.flag('fast'),
          rest: args.rest,
        }
        out.note('about to tell')
        out.report(shown, out.style('red', 'told'))
      },
      {
        arguments: [
          { name: 'WHERE', summary: 'a place' },
          { name: 'MORE', summary: 'more of it', optional: true, repeat: true },
        ],
        options: OPTIONS,
        passThrough: 'COMMAND...',
      },
    ),
    command(
      'fail with',
      async ({ args }) => {
        throw new StackError(args.required('CODE') as StackError['code'], 'it broke', { hint: 'mend it' })
      },
      { arguments: [{ name: 'CODE', summary: 'of the error' }] },
    ),
    command('fail check', async ({ out }) => {
      out.report({ broken: 1 }, 'broken')
      return EXIT_CHECK_FAILED
    }),
    command('fail inside', async () => {
      throw new TypeError('a slip')
    }),
    command(
      'stream',
      async ({ out }) => {
        for (let i = 0; i < 3; i++) out.record({ i }, `line ${i}`)
      },
      { streams: true },
    ),
    command(
      'wait',
      ({ signal }) => new Promise<void>(resolve => signal.addEventListener('abort', () => resolve())),
    ),
    command(
      'wait throwing',
      ({ signal }) =>
        new Promise<void>((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        ),
    ),
  ],
  groups: [{ name: 'fail', summary: 'Ways to fail.' }],
}

const run = (line: string | readonly string[], options: RunOptions = {}): Promise<Said> =>
  runLine(TABLE, line, options)
const json = (said: Said): Record<string, unknown> => JSON.parse(said.stdout) as Record<string, unknown>

describe('cli/parse', () => {
  it('reads arguments, options of every type, and what belongs to another program', async () => {
    const said = await run(
      'echo here --json -c 3 -i 500ms --at - --module a --module=b -f and there -- ls -l',
    )
    expect(json(said)).toMatchObject({
      ok: true,
      result: {
        where: 'here',
        more: ['and', 'there'],
        count: 3,
        interval: 500,
        at: '-',
        modules: ['a', 'b'],
        fast: true,
        rest: ['ls', '-l'],
      },
    })
  })

  it.each([
    ['ehco x', 'there is no command "ehco"', 'did you mean "echo"?'],
    ['fail wth x', 'there is no command "fail wth"', 'did you mean "fail with"?'],
    ['echo', 'WHERE is missing', '--help'],
    ['echo x --cuont 3', 'there is no option --cuont', 'did you mean "--count"?'],
    ['echo x --constructor', 'there is no option --constructor', ''],
    ['echo x --count', '--count needs a value', 'write --count N'],
    ['echo x --at --fast', '--at needs a value', ''],
    ['echo x --count 0', '--count: 0 is out of range', 'from 1 to 9'],
    ['echo x --count 1.5', '--count: "1.5" is not a whole number', ''],
    ['echo x --count many', '--count: "many" is not a whole number', ''],
    ['echo x --interval soon', '--interval: "soon" is not a duration', ''],
    ['echo x --mode c', '--mode: "c" is none of a, b', ''],
    ['echo x --fast=yes', '--fast takes no value', ''],
    ['echo x --count 1 --count 2', '--count is given twice', ''],
    ['fail with A B', '"B" is one argument too many', ''],
  ])('%s: exit code 2, and says how it should be', async (line, message, hint) => {
    const said = await run(line)
    expect(said.code).toBe(2)
    expect(said.stdout).toBe('')
    expect(said.stderr).toContain(message)
    expect(said.stderr).toContain(hint)
    const told = json(await run(`${line} --json`))
    expect(told).toMatchObject({ ok: false, exitCode: 2, error: { code: 'ERR_USAGE' } })
  })

  it('takes global options in front of the command, and a negative number as a value', () => {
    expect(parseArguments(['-q', 'x', '--at', '-5'], TABLE.commands[0]!).string('at')).toBe('-5')
    expect(() => parseArguments(['x', '--at', '-f'], TABLE.commands[0]!)).toThrow(UsageError)
  })

  it('durations', () => {
    expect(['2', '500ms', '1.5s', '2m', '10us'].map(parseDuration)).toEqual([
      2_000, 500, 1_500, 120_000, 0.01,
    ])
    expect(['', 's', '-1s', '1 s', '1d'].map(parseDuration)).toEqual([null, null, null, null, null])
  })
})

describe('cli/output', () => {
  it('data on stdout, talk on stderr, nothing but errors when quiet', async () => {
    expect(await run('echo x')).toEqual({ code: 0, stdout: 'told\n', stderr: 'about to tell\n' })
    expect(await run('-q echo x')).toEqual({ code: 0, stdout: 'told\n', stderr: '' })
    expect((await run('fail with ERR_BUSY -q')).stderr).toContain('it broke')
  })

  it('--json: one document on stdout, also for errors, also in front of the command', async () => {
    expect(json(await run('--json echo x'))).toMatchObject({
      version: 1,
      command: 'echo',
      ok: true,
      exitCode: 0,
    })
    const failed = await run('--json fail with ERR_BUSY')
    expect(failed.stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(json(failed)).toEqual({
      version: 1,
      command: 'fail with',
      ok: false,
      exitCode: 1,
      error: { code: 'ERR_BUSY', message: 'it broke', hint: 'mend it' },
    })
    expect(json(await run('fail check --json'))).toMatchObject({
      ok: false,
      exitCode: 3,
      result: { broken: 1 },
    })
    expect(json(await run('fail inside --json'))).toMatchObject({
      exitCode: 1,
      error: { code: 'ERR_INTERNAL', message: 'a slip' },
    })
  })

  it('--json of a command that streams: a document a line', async () => {
    const said = await run('stream --json')
    expect(said.stdout).toBe('{"i":0}\n{"i":1}\n{"i":2}\n')
  })

  it.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ TERM: 'dumb' }, true, false],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ FORCE_COLOR: '0' }, true, false],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, false, false],
  ])('colours with %o on a terminal (%s): %s', async (env, tty, colored) => {
    const { stdout } = await run('echo x', { env, tty })
    expect(stdout.includes('\x1b[31m')).toBe(colored)
    expect((await run('echo x --no-color', { env, tty })).stdout).toBe('told\n')
  })
})

describe('cli/exit codes', () => {
  it.each([
    ['ERR_BAD_CONFIG', 78],
    ['ERR_PERMISSION', 77],
    ['ERR_ACCESS', 77],
    ['ERR_BAD_ADDRESS', 2],
    ['ERR_NOT_FOUND', 1],
    ['ERR_SHIM_MISSING', 1],
  ])('%s ends with %i', async (code, exit) => {
    expect((await run(`fail with ${code}`)).code).toBe(exit)
  })

  it('a check that does not hold ends with 3, a slip of ours with 1', async () => {
    expect((await run('fail check')).code).toBe(3)
    expect((await run('fail inside')).code).toBe(1)
    expect(exitCodeOf('text')).toBe(1)
  })

  it.each(['wait', 'wait throwing'])('%s: an interruption ends with 130', async line => {
    const controller = new AbortController()
    const ended = run(line, { signal: controller.signal })
    await new Promise(resolve => setImmediate(resolve))
    controller.abort(new DOMException('interrupted', 'AbortError'))
    expect((await ended).code).toBe(130)
  })

  it('help names every exit code', async () => {
    const { stdout } = await run('--help')
    for (const [code, text] of EXIT_CODES) expect(stdout).toMatch(new RegExp(`^  ${code} +${text}$`, 'm'))
  })
})

describe('cli/help', () => {
  it('of a command: examples come first; it needs no arguments', async () => {
    const said = await run('echo --help')
    expect(said.code).toBe(0)
    expect(said.stdout.indexOf('Examples:')).toBeLessThan(said.stdout.indexOf('Usage:'))
    expect(said.stdout).toContain('Usage: putnext echo [options] WHERE [MORE...] -- COMMAND...')
    expect(said.stdout).toContain('-c, --count N')
  })

  it('of a group, and without a command', async () => {
    expect((await run('fail --help')).stdout).toContain('fail with')
    expect(await run('fail')).toMatchObject({ code: 2, stdout: '' })
    expect(await run('')).toMatchObject({ code: 2, stdout: '' })
    expect(await run('--version')).toMatchObject({ code: 0, stdout: `${packageVersion()}\n` })
    expect(json(await run('--version --json'))).toMatchObject({ result: { version: packageVersion() } })
  })
})

describe('cli/commands', () => {
  it('names are unique, and every option with a short form has its own within a command', () => {
    expect(new Set(COMMANDS.map(({ name }) => name)).size).toBe(COMMANDS.length)
    for (const { name, options = {} } of COMMANDS) {
      const shorts = [...Object.values(options).flatMap(({ short }) => short ?? []), 'q', 'v', 'h']
      expect(new Set(shorts).size, name).toBe(shorts.length)
    }
  })

  it('every example is a command line that its command takes', () => {
    for (const { name, examples } of COMMANDS)
      for (const { command: line } of examples) {
        expect(line.startsWith(`${name}`), line).toBe(true)
        const words = line
          .slice(name.length)
          .replace(/ (?:[|<>]|2>).*$/, '')
          .split(' ')
          .filter(word => word !== '')
        expect(() => parseArguments(words, COMMANDS.find(one => one.name === name)!), line).not.toThrow()
      }
  })

  it('every command loads, and nothing of it before it is run', async () => {
    for (const { load } of COMMANDS) expect(await load()).toBeTypeOf('function')
  })

  it('the committed manual is that of the table (npx vitest run src/cli -u writes it anew)', async () => {
    await expect(reference(COMMANDS, GROUPS)).toMatchFileSnapshot('../../docs/reference/cli.md')
  })

  it('the committed table of TCP settings is that of the ranges (npx vitest run src/cli -u writes it anew)', async () => {
    await expect(tcpSettingsReference()).toMatchFileSnapshot('../../docs/reference/tcp-settings.md')
  })
})

describe('cli/completion', () => {
  it.each(SHELLS)('%s: a script that names every command and its options', shell => {
    const script = completionScript(shell, COMMANDS)
    for (const { name } of COMMANDS) for (const word of name.split(' ')) expect(script).toContain(word)
    expect(script).toContain('ready-fd')
  })

  const bash = spawnSync('bash', ['--version']).status === 0
  it.skipIf(!bash)(`bash completes words, options and files${bash ? '' : ' (skipped: no bash)'}`, () => {
    const complete = (...words: string[]): string[] => {
      const script = `${completionScript('bash', COMMANDS)}\nCOMP_WORDS=(putnext ${words.map(word => `"${word}"`).join(' ')}); COMP_CWORD=${words.length}; _putnext; printf '%s\\n' "\${COMPREPLY[@]}"`
      return spawnSync('bash', ['-c', script], { encoding: 'utf8' })
        .stdout.split('\n')
        .filter(word => word !== '')
    }
    expect(complete('no')).toEqual(['node'])
    expect(complete('node', 's')).toEqual(['status', 'stop'])
    expect(complete('node', 'run', '--rea')).toEqual(['--ready-fd'])
    expect(complete('ping', '--cou')).toEqual(['--count'])
    expect(complete('ping', 'n1', '--cou')).toEqual(['--count'])
  })
})
