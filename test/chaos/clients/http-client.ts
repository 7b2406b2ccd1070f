import { Agent, type IncomingHttpHeaders, request } from 'node:http'

export type HttpAnswer = { status: number; headers: IncomingHttpHeaders; body: unknown }
export type HttpRequest = {
  method: string
  /** Node and path. */
  url: string
  token?: string | undefined
  body?: unknown
  key?: string
  timeoutMs: number
  /** Ends it early. */
  signal?: AbortSignal | undefined
}

/** JSON over keep-alive connections, each request with an end in time. */
export class HttpClient implements Disposable {
  readonly #agent = new Agent({ keepAlive: true, maxFreeSockets: 64, scheduling: 'lifo' })

  /** Rejects when there is no whole answer: then nobody knows what happened. */
  call(given: HttpRequest): Promise<HttpAnswer> {
    const bytes = given.body === undefined ? undefined : Buffer.from(JSON.stringify(given.body))
    const headers: Record<string, string | number> = {}
    if (given.token !== undefined) headers.authorization = `Bearer ${given.token}`
    if (given.key !== undefined) headers['idempotency-key'] = given.key
    if (bytes) headers['content-type'] = 'application/json'
    if (given.method !== 'GET') headers['content-length'] = bytes?.length ?? 0
    return new Promise((resolve, reject) => {
      const options = { method: given.method, headers, agent: this.#agent }
      const outgoing = request(given.url, options, (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('end', () => {
          settle()
          if (!answer.complete) return reject(new Error('cut short'))
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: parse(Buffer.concat(chunks).toString('utf8')),
          })
        })
        answer.on('error', fail)
      })
      const fail = (error: Error) => {
        settle()
        reject(error)
      }
      const abort = () => outgoing.destroy(new Error('given up'))
      const timer = setTimeout(() => outgoing.destroy(new Error('no answer in time')), given.timeoutMs)
      const settle = () => {
        clearTimeout(timer)
        given.signal?.removeEventListener('abort', abort)
      }
      given.signal?.addEventListener('abort', abort)
      outgoing.on('error', fail)
      outgoing.end(bytes)
    })
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
