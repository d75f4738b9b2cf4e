// Checks that a file stays readable in one sitting: above 400 lines a warning, above 500 a failure.
// Usage: node scripts/check-size.mjs [ROOT]

import { filesUnder, isMain, readSource, report } from './project/source-text.mjs'

export const WARN_LINES = 400
export const FAIL_LINES = 500

/**
 * @param {string} root of the tree to check
 * @returns {{ files: number, warnings: string[], problems: string[] }}
 */
export function checkSize(root) {
  const files = [...filesUnder(root, 'src', /\.ts$/), ...filesUnder(root, 'native-shims', /\.[ch]$/)]
  const long = files
    .map(path => ({ path, lines: readSource(root, path).split('\n').length - 1 }))
    .filter(({ lines }) => lines > WARN_LINES)
    .sort((a, b) => b.lines - a.lines)
  const tell = (/** @type {{ path: string, lines: number }} */ one) => `${one.path}: ${one.lines} lines`
  return {
    files: files.length,
    warnings: long.filter(one => one.lines <= FAIL_LINES).map(tell),
    problems: long.filter(one => one.lines > FAIL_LINES).map(tell),
  }
}

if (isMain(import.meta.url)) {
  const { files, warnings, problems } = checkSize(process.argv[2] ?? '.')
  for (const warning of warnings) console.error(`warning: ${warning}, more than ${WARN_LINES}`)
  report(
    'size',
    problems.map(problem => `${problem}, more than ${FAIL_LINES}`),
    `${files} files`,
  )
}
