import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { PROBLEMS } from '../protocol/problems.ts'
import { bundle } from './bundle.ts'
import { openApiDocument } from './openapi.ts'
import { apiRoutes, type Routes } from './routes.ts'
import type { Services } from './services.ts'
import type { SiteFile } from './site.ts'

const WEB = new URL('../web/', import.meta.url)

/** Builds the page and the documents, once at the start. */
export async function buildSite(services: Services): Promise<ReadonlyMap<string, SiteFile>> {
  const routes = apiRoutes(services)
  const openapi = JSON.stringify(openApiDocument(routes, services.version), null, 2)
  const [page, worker, client] = await Promise.all([
    scripts('web/page.ts', 'esm'),
    scripts('web/service-worker.ts', 'iife'),
    scripts('client/client.ts', 'esm'),
  ])
  return new Map<string, SiteFile>([
    ['/', siteFile('text/html; charset=utf-8', await readWeb('index.html'))],
    ['/page.css', siteFile('text/css; charset=utf-8', await readWeb('page.css'))],
    ...page,
    ...worker,
    ...client.map(([path, file]) => [path, { ...file, isPublic: true }] as const),
    ['/openapi.json', siteFile('application/json', openapi)],
    ['/docs', siteFile('text/html; charset=utf-8', docsPage(routes))],
    ['/docs/problems', siteFile('text/html; charset=utf-8', problemsPage())],
  ])
}

function readWeb(name: string): Promise<Buffer> {
  return readFile(new URL(name, WEB))
}

/** The scripts that a file comes to, by their paths. */
async function scripts(name: string, format: 'esm' | 'iife'): Promise<[string, SiteFile][]> {
  const files = await bundle(name, format)
  return files.map(([path, text]) => [`/${path}`, siteFile('text/javascript; charset=utf-8', text)])
}

function siteFile(type: string, content: Buffer | string): SiteFile {
  const body = Buffer.from(content)
  const hash = createHash('sha256').update(body).digest('base64url')
  // Weak: the same for both encodings of it.
  return { type, body, gzipped: gzipSync(body, { level: 9 }), etag: `W/"${hash}"` }
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
