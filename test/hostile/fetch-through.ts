import { Readable } from 'node:stream'
import type { Fetch } from '../../src/client/requests.ts'
import type { Way } from './box.ts'
import { agentThrough, ask } from './through.ts'

/**
 * A `fetch` that goes through a forward proxy as a browser's does, with a pool of its own; `undefined` where Node's own
 * `fetch` gets there. Close it when done.
 */
export function fetchThrough(way: Way): { fetch: Fetch; close(): void } | undefined {
  if (way.proxyUrl === undefined) return undefined
  const agent = agentThrough(way)
  const fetch: Fetch = async (url, { method = 'GET', headers, body, signal } = {}) => {
    const answer = await ask(way, agent, url.slice(way.url.length), {
      method,
      headers: headers as Record<string, string>,
      ...(body && { body: await new Response(body).text() }),
      ...(signal && { signal }),
    })
    const { statusCode = 0, rawHeaders } = answer
    const lines = rawHeaders.flatMap((name, at): [string, string][] =>
      at % 2 === 0 ? [[name, rawHeaders[at + 1] ?? '']] : [],
    )
    const isEmpty = [204, 205, 304].includes(statusCode)
    if (isEmpty) answer.resume()
    const stream = isEmpty ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>)
    return new Response(stream, { status: statusCode, headers: lines })
  }
  return { fetch, close: () => agent.destroy() }
}
