// Plays every transcript beside this file. To have what is said now written down, to be reviewed as a difference:
// PUTNEXT_TRANSCRIPTS=write npx vitest run test/conformance
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseTranscript, play, playAtWrap, showCase, showTranscript } from './transcript.ts'

const FOLDER = fileURLToPath(new URL('.', import.meta.url))
const isWriting = process.env['PUTNEXT_TRANSCRIPTS'] === 'write'

for (const name of readdirSync(FOLDER)
  .filter(each => each.endsWith('.txt'))
  .sort()) {
  const path = join(FOLDER, name)
  const transcript = parseTranscript(readFileSync(path, 'utf8'))
  describe(`conformance/${name}`, () => {
    for (const one of transcript.cases)
      it(one.title, () => {
        expect(showCase(play(one))).toBe(showCase(one))
      })
  })
  describe(`conformance/${name}, wherever clocks and numbers begin`, () => {
    it.each([
      ['microseconds pass 2^31', 2_147_480_000],
      ['milliseconds pass 2^31', 2 ** 31 * 1_000 - 110_000],
      ['milliseconds pass 2^32', 2 ** 32 * 1_000 - 110_000],
    ])('%s', (_, startUs) => {
      for (const one of transcript.cases)
        expect(showCase(play(one, { startUs, peerIsn: 7 }))).toBe(showCase(one))
    })

    it('sequence numbers of both sides pass 2^32', () => {
      for (const one of transcript.cases) expect(showCase(playAtWrap(one))).toBe(showCase(one))
    })
  })
  if (isWriting) {
    const cases = transcript.cases.map(one => play(one))
    writeFileSync(path, showTranscript({ ...transcript, cases }))
  }
}
