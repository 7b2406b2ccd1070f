import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build, type Plugin } from 'esbuild'
import { PROBLEMS } from '../protocol/problems.ts'
import { openApiDocument } from './openapi.ts'
import { apiRoutes, type Routes } from './routes.ts'
import type { Services } from './services.ts'
import type { SiteFile } from './site.ts'

const SOURCE = new URL('../', import.meta.url)
const WEB = new URL('web/', SOURCE)

/** Builds the page and the documents, once at the start. */
export async function buildSite(services: Services): Promise<ReadonlyMap<string, SiteFile>> {
  const routes = apiRoutes(services)
  const openapi = JSON.stringify(openApiDocument(routes, services.version), null, 2)
  const [page, client] = await Promise.all([bundle('web/page.ts'), bundle('client/client.ts')])
  return new Map([
    ['/', siteFile('text/html; charset=utf-8', await readWeb('index.html'))],
    ['/page.css', siteFile('text/css; charset=utf-8', await readWeb('page.css'))],
    ['/page.js', siteFile('text/javascript; charset=utf-8', page)],
    ['/client.js', { ...siteFile('text/javascript; charset=utf-8', client), isPublic: true }],
    ['/openapi.json', siteFile('application/json', openapi)],
    ['/docs', siteFile('text/html; charset=utf-8', docsPage(routes))],
    ['/docs/problems', siteFile('text/html; charset=utf-8', problemsPage())],
  ])
}

function readWeb(name: string): Promise<Buffer> {
  return readFile(new URL(name, WEB))
}

function siteFile(type: string, content: Buffer | string): SiteFile {
  const body = Buffer.from(content)
  const hash = createHash('sha256').update(body).digest('base64url')
  // Weak: the same for both encodings of it.
  return { type, body, gzipped: gzipSync(body, { level: 9 }), etag: `W/"${hash}"` }
}

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

async function bundle(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(name, SOURCE))],
    bundle: true,
    write: false,
    format: 'esm',
    minify: true,
    target: 'es2022',
    logLevel: 'silent',
    plugins: [sharedClient],
  })
  return outputFiles[0]?.text ?? ''
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

function documentPage(title: string, body: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Longwave: ${title}</title><style>:root{color-scheme:light dark}
body{font:16px/1.5 system-ui;margin:2rem auto;padding:0 1rem;max-width:60rem}
td{padding:.2rem 1rem .2rem 0;vertical-align:top}code{white-space:nowrap}:target{outline:2px solid}</style>
<h1>${title}</h1>${body}</html>`
}

/** The API at a glance; the OpenAPI document says the rest. */
function docsPage(routes: Routes): string {
  const events = ['GET, POST', '/v1/events', { summary: 'Read my inbox: stream, long-poll or poll' }] as const
  const rows = [events, ...routes].map(
    ([method, path, { summary }]) =>
      `<tr><td>${method}</td><td><code>${path}</code></td><td>${escapeHtml(summary)}</td></tr>`,
  )
  return documentPage(
    'API',
    `<p>The whole of it, with schemas: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).
Errors: <a href="/docs/problems">problems</a>.</p><table>${rows.join('')}</table>`,
  )
}

/** What each `type` of a problem points to. */
function problemsPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, [status, title]]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td></tr>`,
  )
  return documentPage(
    'Problems',
    `<p>Every error is <code>application/problem+json</code> (RFC 9457). Its <code>code</code> is stable; its
<code>detail</code> says what to do next.</p><table>${rows.join('')}</table>`,
  )
}
