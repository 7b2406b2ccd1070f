import type { IncomingMessage, ServerResponse } from 'node:http'
import { checkReadiness } from './operations.ts'
import type { Services } from './services.ts'

/** A file served as it is, kept in memory. Pages of any origin may load what `isPublic`. */
export type SiteFile = { type: string; body: Buffer | string; etag?: string; isPublic?: boolean }

/** No framing, no foreign script, no guessing of types: the page holds a session. */
const SECURITY_HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
}

/** Everything outside `/v1`: the page, the documents, the probes. */
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
  const file = site.get(path)
  if (!file) {
    answerText(response, 404, 'There is nothing at this path.\n')
    return
  }
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'Content-Type': file.type,
    'Content-Length': Buffer.byteLength(file.body),
    'Cache-Control': 'no-cache',
    ...(file.isPublic && { 'Access-Control-Allow-Origin': '*' }),
  })
  response.end(incoming.method === 'HEAD' ? undefined : file.body)
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
