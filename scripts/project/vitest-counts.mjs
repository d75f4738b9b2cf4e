// A vitest reporter for scripts/test: writes what passed, failed and was skipped, and why, to the file that
// PUTNEXT_TEST_COUNTS names. Vitest's JSON report leaves out the note of ctx.skip(note) and errors outside a test.

import { writeFileSync } from 'node:fs'

/**
 * @typedef {object} Counts
 * @property {number} passed
 * @property {number} failed a file that could not be loaded and an error outside a test count as one each
 * @property {{ name: string, reason: string }[]} skipped
 */

/** Shaped like a Reporter of vitest 4. */
export default class CountsReporter {
  /**
   * @param {ReadonlyArray<import('vitest/node').TestModule>} modules
   * @param {ReadonlyArray<unknown>} errors
   */
  onTestRunEnd(modules, errors) {
    /** @type {Counts} */
    const counts = { passed: 0, failed: errors.length, skipped: [] }
    for (const module of modules) {
      let failedHere = 0
      for (const test of module.children.allTests()) {
        const result = test.result()
        if (result.state === 'passed') counts.passed++
        else if (result.state === 'skipped') {
          const reason = result.note ?? (test.options.mode === 'todo' ? 'to do' : 'as its name says')
          counts.skipped.push({ name: `${module.relativeModuleId} > ${test.fullName}`, reason })
        } else failedHere++
      }
      // A file that fails to load, or whose hooks fail, has failed even if no test of it ran.
      counts.failed += module.state() === 'failed' ? Math.max(1, failedHere) : failedHere
    }
    const path = process.env['PUTNEXT_TEST_COUNTS']
    if (path !== undefined) writeFileSync(path, JSON.stringify(counts, null, 2))
  }
}
