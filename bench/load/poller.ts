import { serveTasks } from '../support/worker.ts'
import { HttpConnection } from './http-connection.ts'

export type PollJob = { url: string; tokens: readonly string[] }

const CURSOR = /^\{"cursor":"([^"]+)"/
const EVENT_MARK = '"type":"message.created"'

const counts = { answers: 0, events: 0, failed: 0 }

/** Starts a client per token that asks, waits, and asks again from the cursor it got; resolves when all wait. */
async function open({ url, tokens }: PollJob): Promise<void> {
  const target = new URL(url)
  await Promise.all(tokens.map((token) => openOne(target, token)))
}

function openOne(url: URL, token: string): Promise<void> {
  const connection = new HttpConnection(url, () => {
    counts.failed += 1
  })
  const rest = ` HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`
  return new Promise((resolve, reject) => {
    connection.request(`GET /v1/events?as=poll&wait=0${rest}`, ({ status, body }) => {
      const cursor = CURSOR.exec(body)?.[1]
      if (status !== 200 || !cursor) {
        reject(new Error(`a poll was answered ${status} ${body}`))
        return
      }
      pollOn(connection, rest, cursor)
      resolve()
    })
  })
}

function pollOn(connection: HttpConnection, rest: string, cursor: string): void {
  connection.request(`GET /v1/events?as=poll&wait=25&after=${cursor}${rest}`, ({ status, body }) => {
    const next = CURSOR.exec(body)?.[1]
    if (status !== 200 || !next) {
      counts.failed += 1
      return
    }
    // A wait that ended empty is no delivery.
    if (next !== cursor) counts.answers += 1
    counts.events += occurrences(body)
    pollOn(connection, rest, next)
  })
}

function occurrences(body: string): number {
  let found = 0
  for (let at = body.indexOf(EVENT_MARK); at >= 0; at = body.indexOf(EVENT_MARK, at + 1)) found += 1
  return found
}

const tasks = { open, look: (_: null) => ({ ...counts }) }
export type PollerTasks = typeof tasks
serveTasks(tasks)
