import { readFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { PROBLEMS } from '../protocol/problems.ts'
import { openApiDocument } from './openapi.ts'
import { apiRoutes } from './routes.ts'
import type { Services } from './services.ts'
import type { SiteFile } from './site.ts'

const WEB = new URL('../web/', import.meta.url)

/** Builds the page and the documents, once at the start. */
export async function buildSite(services: Services): Promise<ReadonlyMap<string, SiteFile>> {
  const openapi = JSON.stringify(openApiDocument(apiRoutes(services), services.version), null, 2)
  return new Map<string, SiteFile>([
    ['/', { type: 'text/html; charset=utf-8', body: await readFile(new URL('index.html', WEB)) }],
    ['/page.css', { type: 'text/css; charset=utf-8', body: await readFile(new URL('page.css', WEB)) }],
    ['/page.js', { type: 'text/javascript; charset=utf-8', body: await bundle('page.ts') }],
    ['/openapi.json', { type: 'application/json', body: openapi }],
    ['/docs/problems', { type: 'text/html; charset=utf-8', body: problemsPage() }],
  ])
}

async function bundle(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [new URL(name, WEB).pathname],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}

/** What each `type` of a problem points to. */
function problemsPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, [status, title]]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td></tr>`,
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Longwave: problems</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:50rem}td{padding:.2rem 1rem}:target{background:#ffd}</style>
<h1>Problems</h1><p>Every error is <code>application/problem+json</code> (RFC 9457). Its <code>code</code> is stable;
its <code>detail</code> says what to do next.</p><table>${rows.join('')}</table></html>`
}
