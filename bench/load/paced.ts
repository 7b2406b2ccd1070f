import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { Durations, type Percentiles } from '../support/percentile.ts'
import { serveTasks } from '../support/worker.ts'
import { HttpConnection } from './http-connection.ts'

export type PacedJob = {
  url: string
  perSecond: number
  seconds: number
  /** Not counted at the beginning. */
  warmUpSeconds: number
  readers: readonly string[]
  /** Where to send in turn. Whoever reads it is among `readers`. */
  targets: readonly { conversation: string; token: string }[]
  receiversPerMessage: number
}

export type PacedReport = {
  sent: number
  /** Deliveries of counted messages that never came. */
  missing: number
  failed: number
  /** From just before the POST is written to the event in a reader, per delivery. */
  delivery: Percentiles
  /** From the same moment to the answer of the POST. */
  answer: Percentiles
  /** How far behind its schedule the sender wrote. */
  lag: Percentiles
}

const CONNECTIONS = 128
const SETTLE_MS = 2_000
/** In the text of each message; a fixed width keeps all requests of one length. */
const NUMBER = /"text":"n(\d{9}) /g

/** An open loop: what is due is sent, whatever became of what was sent before, so no stall hides behind another. */
async function run(job: PacedJob): Promise<PacedReport> {
  const url = new URL(job.url)
  const total = job.perSecond * (job.seconds + job.warmUpSeconds)
  const uncounted = job.perSecond * job.warmUpSeconds
  const sentAt = new Float64Array(total)
  const delivery = new Durations()
  const answer = new Durations()
  const lag = new Durations()
  let failed = 0
  const fail = () => {
    failed += 1
  }
  await openReaders(url, job.readers, (number) => {
    if (number >= uncounted) delivery.add(performance.now() - (sentAt[number] ?? 0))
  })
  const idle = Array.from({ length: CONNECTIONS }, () => new HttpConnection(url, fail))
  const requests = job.targets.map((target) => requestFor(url, target))
  const send = (number: number, connection: HttpConnection) => {
    const now = performance.now()
    sentAt[number] = now
    connection.request(requests[number % requests.length]?.(number) ?? '', ({ status }) => {
      if (status !== 201) failed += 1
      if (number >= uncounted) answer.add(performance.now() - now)
      idle.push(connection)
    })
  }
  const began = performance.now()
  for (let number = 0; number < total; ) {
    const now = performance.now()
    const due = Math.min(total, Math.floor(((now - began) / 1_000) * job.perSecond))
    for (; number < due; number += 1) {
      if (number >= uncounted) lag.add(now - began - (number / job.perSecond) * 1_000)
      send(number, idle.pop() ?? new HttpConnection(url, fail))
    }
    await setTimeout(1)
  }
  await setTimeout(SETTLE_MS)
  const counted = total - uncounted
  return {
    sent: counted,
    missing: counted * job.receiversPerMessage - delivery.count,
    failed,
    delivery: delivery.summary(),
    answer: answer.summary(),
    lag: lag.summary(),
  }
}

function requestFor(url: URL, { conversation, token }: PacedJob['targets'][number]) {
  const body = (number: number) =>
    JSON.stringify({ text: `n${String(number).padStart(9, '0')} ${'and some more words '.repeat(5)}` })
  const head =
    `POST /v1/conversations/${conversation}/messages HTTP/1.1\r\nHost: ${url.host}\r\n` +
    `Authorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body(0).length}\r\n\r\n`
  return (number: number) => head + body(number)
}

/** Opens a stream per token, each read for message numbers; resolves when all have begun. */
async function openReaders(url: URL, tokens: readonly string[], onNumber: (number: number) => void) {
  const opening = tokens.map(
    (token) =>
      new Promise<void>((resolve, reject) => {
        const socket = connect({ host: url.hostname, port: Number(url.port) })
        let rest = ''
        socket.setEncoding('latin1').on('error', reject)
        socket.on('data', (text: string) => {
          rest += text
          if (rest.includes('event: heartbeat')) resolve()
          const end = rest.lastIndexOf('\n\n')
          if (end < 0) return
          for (const match of rest.slice(0, end).matchAll(NUMBER)) onNumber(Number(match[1]))
          rest = rest.slice(end + 2)
        })
        socket.write(
          `GET /v1/events?as=sse HTTP/1.1\r\nHost: ${url.host}\r\nAuthorization: Bearer ${token}\r\n\r\n`,
        )
      }),
  )
  await Promise.race([
    Promise.all(opening),
    setTimeout(10_000).then(() => Promise.reject(new Error('not all streams opened in time'))),
  ])
}

const tasks = { run }
export type PacedTasks = typeof tasks
serveTasks(tasks)
