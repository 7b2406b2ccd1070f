import type { IncomingMessage, ServerResponse } from 'node:http'
import { metricsText } from './metrics.ts'
import { checkReadiness } from './operations.ts'
import type { Services } from './services.ts'

/** A file served as it is, kept in memory. Pages of any origin may load what `isPublic`. */
export type SiteFile = { type: string; body: Buffer; gzipped: Buffer; etag: string; isPublic?: boolean }

/** No framing, no foreign script, no guessing of types: the page holds a session. */
const SECURITY_HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
}

/** Everything outside `/v1`: the page, the documents, the probes, what was counted. */
export function serveSite(
  services: Services,
  site: ReadonlyMap<string, SiteFile>,
  url: URL,
  incoming: IncomingMessage,
  response: ServerResponse,
): void {
  const path = url.pathname
  if (incoming.method !== 'GET' && incoming.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    answerText(response, 405, 'Use GET here.\n')
    return
  }
  if (path === '/healthz') {
    answerJson(response, 200, { status: 'ok' })
    return
  }
  if (path === '/readyz') {
    void answerReadiness(services, url.searchParams.getAll('exclude'), incoming, response)
    return
  }
  if (path === '/metrics') {
    answerText(response, 200, metricsText(services))
    return
  }
  const file = site.get(path)
  if (!file) {
    answerText(response, 404, 'There is nothing at this path.\n')
    return
  }
  serveFile(file, incoming, response)
}

/** On a slow line a third of the bytes, and none the second time. RFC 9110, 8.8.3 and 12.5.3. */
function serveFile(file: SiteFile, incoming: IncomingMessage, response: ServerResponse): void {
  const { 'if-none-match': known = '', 'accept-encoding': encodings = '' } = incoming.headers
  const isGzipped = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i.test(String(encodings))
  const body = isGzipped ? file.gzipped : file.body
  const headers = {
    ...SECURITY_HEADERS,
    'Cache-Control': 'no-cache',
    ETag: file.etag,
    Vary: 'Accept-Encoding',
    ...(file.isPublic && { 'Access-Control-Allow-Origin': '*' }),
  }
  if (known.includes(file.etag.slice(2))) {
    response.writeHead(304, headers).end()
    return
  }
  response.writeHead(200, {
    ...headers,
    'Content-Type': file.type,
    'Content-Length': body.byteLength,
    ...(isGzipped && { 'Content-Encoding': 'gzip' }),
  })
  response.end(incoming.method === 'HEAD' ? undefined : body)
}

/**
 * `exclude` names checks that do not count. A balancer leaves NATS out: without it every node would be taken out at
 * once, though each still serves.
 */
async function answerReadiness(
  services: Services,
  exclude: readonly string[],
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const checks = await checkReadiness(services)
  // It may have begun while Postgres was asked.
  if (services.delivery.isDraining && incoming.httpVersionMajor === 1)
    response.setHeader('Connection', 'close')
  const isReady = Object.entries(checks).every(([name, each]) => each === 'ok' || exclude.includes(name))
  answerJson(response, isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', checks })
}

function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value)
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    ...(status === 503 && { 'Retry-After': '1' }),
  })
  response.end(body)
}

function answerText(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
