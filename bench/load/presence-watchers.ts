import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { Durations } from '../support/percentile.ts'
import { serveTasks } from '../support/worker.ts'

export type WatchJob = { urls: readonly string[]; tokens: readonly string[] }

/** How many streams are asked for at once. */
const OPENING = 200
const MARK = '"type":"presence.changed","at":"'
const TIME_LENGTH = '2026-11-21T09:00:00.000Z'.length

/** All streams together. */
let open = 0
let told = 0
let toldAt = 0
const lags = new Durations()

/** A stream that counts who comes and goes, and how long ago that was. */
function watch(url: URL, token: string): Promise<void> {
  const socket = connect({ host: url.hostname, port: Number(url.port) })
  socket.setEncoding('latin1')
  socket.on('error', () => {})
  socket.on('close', () => {
    open -= 1
  })
  socket.write(
    `GET /v1/events?as=sse HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  )
  const { promise, resolve } = Promise.withResolvers<void>()
  let rest = ''
  let isOpen = false
  socket.on('data', (text: string) => {
    if (!isOpen && text.includes('\nevent: hello')) {
      isOpen = true
      open += 1
      resolve()
    }
    rest = count(rest + text)
  })
  return promise
}

/** Returns what may be the beginning of another one. */
function count(text: string): string {
  const now = Date.now()
  let from = 0
  for (let at = text.indexOf(MARK); at >= 0; at = text.indexOf(MARK, from)) {
    const end = at + MARK.length + TIME_LENGTH
    if (end > text.length) return text.slice(at)
    told += 1
    toldAt = performance.now()
    lags.add(Math.max(now - Date.parse(text.slice(at + MARK.length, end)), 0))
    from = end
  }
  return text.slice(Math.max(from, text.length - MARK.length + 1))
}

/** Opens a stream per token, in turn on each of the nodes. Resolves when all have begun. */
async function openAll({ urls, tokens }: WatchJob): Promise<void> {
  const nodes = urls.map((url) => new URL(url))
  for (let from = 0; from < tokens.length; from += OPENING) {
    const some = tokens.slice(from, from + OPENING)
    await Promise.all(some.map((token, index) => watch(nodes[index % nodes.length] as URL, token)))
  }
}

/** What came since the last look, and how long ago (ms) the last of it did. */
async function look(_: null) {
  const seen = { open, told, quietMs: performance.now() - toldAt, lags: lags.summary() }
  await setTimeout(0)
  return seen
}

const tasks = { open: openAll, look }
export type PresenceWatcherTasks = typeof tasks
serveTasks(tasks)
