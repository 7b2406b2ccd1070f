import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { minify } from 'terser'
import { cached } from './bundle-cache.ts'

const SOURCE = new URL('../', import.meta.url)

/**
 * Properties that only the client's own parts have, most of them the ladder's, shortened in what is served: none of them is
 * on the wire, in a message between tabs, kept in a storage or of any interface.
 */
const INTERNAL = (
  'suspectedAt climbAt doubtAt witnessAt witnesses cutAges cutAge pollCuts lostAt provenAt heardAt ' +
  'changedAt activeAt maxAge failures climbs heartbeatMs streamed hasCursor hasWorked ' +
  'hasUnconfirmedCut hasMore hasBodies isDown isHalted isPost isPlaced attempts reported highest ' +
  'effects faults pending owed phase began since until attempt isPosting weight remembered tookMs ' +
  'wasEmpty retryMs catchUp isLive isLeading isCookie pushText refusals isElsewhere notBefore isRetry lead follow told renew place begin take committed watch visible online frame bytes answer ended tell isThere isVisible'
).split(' ')

/**
 * The page takes the SDK from its own address, as other pages do: it is fetched beside the page's own code, kept when only
 * that changes, and no file is larger than what scanners let through at once.
 */
const sharedClient: Plugin = {
  name: 'shared-client',
  setup({ onResolve }) {
    onResolve({ filter: /\/client\/client\.ts$/ }, ({ kind }) =>
      kind === 'entry-point' ? undefined : { path: '/client.js', external: true },
    )
  },
}

/**
 * What a file below src/ comes to for browsers, minified: names and texts. What the SDK loads only when it is needed is a
 * module of its own beside it, `client-….js`. A service worker is a plain script, which every browser takes and others may
 * `importScripts`.
 */
export function bundle(name: string, format: 'esm' | 'iife'): Promise<[string, string][]> {
  return cached(name, () => makeBundle(name, format))
}

async function makeBundle(name: string, format: 'esm' | 'iife'): Promise<[string, string][]> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(name, SOURCE))],
    bundle: true,
    write: false,
    outdir: '/',
    format,
    splitting: format === 'esm',
    chunkNames: 'client-[name]',
    minify: true,
    ...(name.startsWith('client/') && { mangleProps: new RegExp(`^(${INTERNAL.join('|')})$`) }),
    target: 'es2022',
    define: { 'Number.POSITIVE_INFINITY': 'Infinity' },
    logLevel: 'silent',
    plugins: [sharedClient],
  })
  return Promise.all(
    outputFiles.map(
      async ({ path, text }): Promise<[string, string]> => [basename(path), await shorten(text)],
    ),
  )
}

/** Names and forms that compress better than the bundler's: three in a hundred bytes less. */
async function shorten(text: string): Promise<string> {
  // Reading a property of ours does nothing else.
  const compress = { passes: 2, sequences: false, lhs_constants: false, pure_getters: true }
  return (await minify(text, { module: true, ecma: 2020, compress })).code ?? text
}
