import { HttpConnection } from '../load/http-connection.ts'
import { Durations, type Percentiles } from './percentile.ts'

export type BenchRequest = { path: string; token: string }

/** Asks one after the other over one connection; each has to be answered 200. Milliseconds, answer read. */
export async function timeRequests(url: string, requests: readonly BenchRequest[]): Promise<Percentiles> {
  const base = new URL(url)
  const ended = Promise.withResolvers<never>()
  ended.promise.catch(() => {})
  const connection = new HttpConnection(base, (why) => ended.reject(new Error(why)))
  const durations = new Durations()
  try {
    for (const { path, token } of requests) {
      const asked = performance.now()
      const bytes = `GET ${path} HTTP/1.1\r\nHost: ${base.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`
      const answered = new Promise<{ status: number; body: string }>((resolve) =>
        connection.request(bytes, resolve),
      )
      const { status, body } = await Promise.race([answered, ended.promise])
      durations.add(performance.now() - asked)
      if (status !== 200) throw new Error(`${path} was answered ${status}: ${body}`)
    }
  } finally {
    connection.close()
  }
  return durations.summary()
}
