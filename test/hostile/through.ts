import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { HttpsProxyAgent } from 'https-proxy-agent'
import type { Way } from './box.ts'

/** As many connections as a browser opens to one host. */
const MAX_SOCKETS = 6

/**
 * An agent whose requests go through the box as a browser's do: a forward proxy gets http requests whole, and is asked
 * for a tunnel (`CONNECT`) for https. Destroy it when done.
 */
export function agentThrough({ url, proxyUrl, authority }: Way, { keepAlive = true } = {}): http.Agent {
  const options = {
    keepAlive,
    maxSockets: MAX_SOCKETS,
    ...(authority !== undefined && { ca: readFileSync(authority) }),
    ...(proxyUrl !== undefined && { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } }),
  }
  return url.startsWith('https:') ? new https.Agent(options) : new http.Agent(options)
}

/** An agent for WebSockets: a browser asks a forward proxy for a tunnel for them, with or without TLS. */
export function upgradeAgentThrough(way: Way): http.Agent {
  if (way.proxyUrl === undefined) return agentThrough(way)
  const options = { ...(way.authority !== undefined && { ca: readFileSync(way.authority) }) }
  return new HttpsProxyAgent(way.proxyUrl, options)
}

export type Asked = { method?: string; headers?: Record<string, string>; body?: string; signal?: AbortSignal }

/**
 * Asks for `path` through the agent; resolves with the head of the answer. POSTs always carry a `Content-Length`. As in
 * a browser a kept connection that turns out to have been closed is none: the request goes out on another one.
 */
export function ask(
  way: Way,
  agent: http.Agent,
  path: string,
  asked: Asked = {},
): Promise<http.IncomingMessage> {
  const { method = 'GET', headers = {}, body, signal } = asked
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const { request } = way.url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    const options = { agent, method, headers: { ...headers, ...length }, ...(signal && { signal }) }
    const sent = request(way.url + path, options)
    let isAnswered = false
    sent.on('response', (response) => {
      isAnswered = true
      resolve(response)
    })
    sent.on('error', (error: NodeJS.ErrnoException) => {
      const wasClosed = !isAnswered && sent.reusedSocket && error.code === 'ECONNRESET'
      if (wasClosed) resolve(ask(way, agent, path, asked))
      else reject(error)
    })
    sent.end(body)
  })
}

/** The whole body of an answer. Rejects if it ends too early. */
export async function textOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
