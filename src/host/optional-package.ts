import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Native npm packages that serve when they are there; see docs/optional-packages.md. */
export type OptionalPackageName = 'cap' | 'raw-socket'

/** What became of the attempt: the package's exports, or why not and what to do about it. */
export type OptionalPackage =
  | { readonly kind: 'loaded'; readonly exports: unknown; readonly from: string }
  | { readonly kind: 'missing'; readonly reason: string; readonly remedy: string }

/** Where `scripts/install-peers` puts the packages in a clone; the same distance from src/host and dist/host. */
const PEERS_URL = new URL('../../build/peers/package.json', import.meta.url)

/**
 * Loads an optional native package: from the project that uses Putnext, or else from `build/peers` of a clone.
 * @param name - the package
 * @param peersUrl - the `package.json` beside the `node_modules` to look in last; for tests
 * @returns never throws: a package that is absent or was built for another Node is `missing`, with the reason
 */
export function loadOptionalPackage(name: OptionalPackageName, peersUrl: URL = PEERS_URL): OptionalPackage {
  let reason = ''
  for (const base of [import.meta.url, peersUrl]) {
    const require = createRequire(base)
    try {
      return { kind: 'loaded', exports: require(name) as unknown, from: require.resolve(name) }
    } catch (error) {
      reason = firstLine(error)
    }
  }
  const remedy = `run scripts/install-peers in a clone (${fileURLToPath(peersUrl)}), or npm install ${name}`
  return { kind: 'missing', reason, remedy }
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n', 1)[0] ?? message
}
