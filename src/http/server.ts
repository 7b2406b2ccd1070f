import { randomUUID } from 'node:crypto'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createSecureServer, type Http2SecureServer, type Http2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import type { Config } from '../config.ts'
import { STREAM_BUFFER_BYTES } from '../delivery/sse.ts'
import { Problem } from '../protocol/problems.ts'
import { StartError } from '../start-error.ts'
import { serveEvents } from './events.ts'
import { problemHeaders, toProblem } from './problem-answer.ts'
import { createRouter } from './router.ts'
import { apiRoutes } from './routes.ts'
import type { Services } from './services.ts'
import { type SiteFile, serveSite } from './site.ts'

/** Proxies keep idle connections for 60 to 75 s; one that we close first costs them a 502. */
const KEEP_ALIVE_MS = 95_000
/** A body of 1.5 MiB over 2G takes four minutes. */
const REQUEST_MS = 300_000
const TAKE_WAITING_MS = 250
const OVERRIDES = new Set(['PUT', 'PATCH', 'DELETE'])
const EVENTS_METHODS = 'GET, POST'

/** One server for everything: HTTP/1.1, or with TLS HTTP/2 and 1.1 on one port. */
export class GatewayServer {
  readonly #server: Server | Http2SecureServer
  readonly #sessions = new Set<Http2Session>()
  /** With TLS: those of HTTP/1.1 are known to nobody else. */
  readonly #sockets = new Set<Duplex>()
  readonly #onError: (error: Error) => void
  /** Connections so far. */
  #accepted = 0

  constructor(services: Services, site: ReadonlyMap<string, SiteFile>) {
    this.#onError = (error) => services.log.error({ err: error }, 'a connection could not be accepted')
    const listener = createListener(services, site)
    const { tls } = services.config
    this.#server = tls ? this.#createSecure(tls, listener) : createPlain(listener)
    this.#server.on('clientError', refuseMalformed)
    this.#server.on('connection', () => {
      this.#accepted += 1
    })
  }

  /** Resolves with where it listens, as a URL. Rejects with StartError. */
  listen({ host, port, tls }: Pick<Config, 'host' | 'port' | 'tls'>): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const isTaken = error.code === 'EADDRINUSE'
        const why = isTaken ? 'the port is taken: set PORT to another one, or 0' : error.message
        reject(new StartError(`Cannot listen on ${host}:${port}: ${why}`))
      })
      this.#server.listen(port, host, () => {
        // Later ones are of single connections that could not be accepted; without a listener they end the process.
        this.#server.removeAllListeners('error').on('error', (error) => this.#onError(error))
        const at = this.#server.address() as AddressInfo
        const name = at.family === 'IPv6' ? `[${at.address}]` : at.address
        resolve(`${tls ? 'https' : 'http'}://${name}:${at.port}`)
      })
    })
  }

  /**
   * Takes in what has reached this machine and was not looked at yet: closing would reset those connections, with the
   * requests that they hold. Resolves when none is left to accept, or after a quarter of a second.
   */
  async takeWaiting(): Promise<void> {
    const deadline = performance.now() + TAKE_WAITING_MS
    for (let before = -1; before !== this.#accepted && performance.now() < deadline; ) {
      before = this.#accepted
      // Each turn of the event loop reads all sockets, but accepts one connection at most.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Accepts no more; resolves when the last connection has ended. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    if ('closeIdleConnections' in this.#server) this.#server.closeIdleConnections()
    for (const session of this.#sessions) session.close()
    return closed
  }

  /** Ends what is still open, answered or not. */
  cut(): void {
    if ('closeAllConnections' in this.#server) this.#server.closeAllConnections()
    for (const session of this.#sessions) session.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  #createSecure(tls: NonNullable<Config['tls']>, listener: RequestListener): Http2SecureServer {
    // For HTTP/1.1; the types know them only of its own server.
    const timeouts = { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_MS }
    const server = createSecureServer({ ...tls, ...timeouts, allowHTTP1: true })
    server.on('secureConnection', (socket: Duplex) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    // The compatibility API has the same shape; what HTTP/2 lacks (Connection and its like) is never set on it.
    server.on('request', listener as never)
    server.on('session', (session) => {
      this.#sessions.add(session)
      session.once('close', () => this.#sessions.delete(session))
    })
    return server
  }
}

/** What Node cannot parse never becomes a request, so it is answered here. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Behind a response that has begun, a stream's perhaps, these words would be taken for a part of it.
  const hasBegun = 'bytesWritten' in socket && Number(socket.bytesWritten) > 0
  if (!socket.writable || hasBegun || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const detail = 'The request is not valid HTTP, or its headers are too long. Send less, or check the client.'
  const problem = new Problem('malformed_request', detail)
  const body = JSON.stringify(problem)
  const headers = {
    ...problemHeaders(problem),
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'private, no-store',
    'X-Request-Id': randomUUID(),
    Connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 400 Bad Request\r\n${lines.join('')}\r\n${body}`)
}

function createPlain(listener: RequestListener): Server {
  const server = createServer({ highWaterMark: STREAM_BUFFER_BYTES, requestTimeout: REQUEST_MS }, listener)
  server.keepAliveTimeout = KEEP_ALIVE_MS
  return server
}

function createListener(services: Services, site: ReadonlyMap<string, SiteFile>) {
  const router = createRouter(services, apiRoutes(services))
  const routed = getRequestListener(router.fetch, { overrideGlobalObjects: false })
  return (incoming: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('X-Request-Id', randomUUID())
    if (services.delivery.isDraining && incoming.httpVersionMajor === 1)
      response.setHeader('Connection', 'close')
    const url = URL.parse(incoming.url ?? '/', 'http://localhost')
    if (!url) {
      answerProblem(response, new Problem('malformed_request', 'The request target is not a valid path.'))
      return
    }
    if (url.pathname !== '/v1' && !url.pathname.startsWith('/v1/')) {
      serveSite(services, site, url, incoming, response)
      return
    }
    response.setHeader('Cache-Control', 'private, no-store')
    if (services.origins.applyCors(incoming, response)) return
    overrideMethod(incoming, url)
    if (url.pathname === '/v1/events') void dispatchEvents(services, incoming, response, url)
    else void routed(incoming, response)
  }
}

/** Some proxies let only GET and POST through: before routing, a POST may be another method. */
function overrideMethod(incoming: IncomingMessage, url: URL): void {
  if (incoming.method !== 'POST') return
  const wanted = url.searchParams.get('_method') ?? incoming.headers['x-http-method-override']
  if (typeof wanted !== 'string') return
  const method = wanted.toUpperCase()
  if (OVERRIDES.has(method)) incoming.method = method
}

async function dispatchEvents(
  services: Services,
  incoming: IncomingMessage,
  response: ServerResponse,
  url: URL,
) {
  try {
    if (incoming.method !== 'GET' && incoming.method !== 'POST') {
      response.setHeader('Allow', EVENTS_METHODS)
      throw new Problem('method_not_allowed', `Use ${EVENTS_METHODS} here.`)
    }
    await serveEvents(services, incoming, response, url)
  } catch (error) {
    const problem = toProblem(error)
    if (problem.code === 'internal') services.log.error({ err: problem.cause ?? error }, 'events failed')
    answerProblem(response, problem)
  }
}

function answerProblem(response: ServerResponse, problem: Problem): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  const body = JSON.stringify(problem)
  response.writeHead(problem.status, {
    ...problemHeaders(problem),
    'Content-Length': Buffer.byteLength(body),
  })
  response.end(body)
}
