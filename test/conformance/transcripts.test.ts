// Plays every transcript beside this file. To have what is said now written down, to be reviewed as a difference:
// PUTNEXT_TRANSCRIPTS=write npx vitest run test/conformance
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseTranscript, play, showCase, showTranscript } from './transcript.ts'

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
  if (isWriting) {
    const cases = transcript.cases.map(play)
    writeFileSync(path, showTranscript({ ...transcript, cases }))
  }
}
