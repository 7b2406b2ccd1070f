import autocannon from 'autocannon'
import { Durations, type Percentiles } from '../support/percentile.ts'
import { serveTasks } from '../support/worker.ts'

export type SendJob = {
  url: string
  connections: number
  seconds: number
  /** Each is used in turn; a connection has a share of its own, so that no two hit one conversation by design. */
  targets: readonly SendTarget[]
}

export type SendTarget = { conversation: string; token: string }

export type SendReport = {
  created: number
  /** Answers other than 2xx, connection errors and time-outs: of a good run none. */
  failed: number
  seconds: number
  latency: Percentiles
}

const TEXT =
  'The train is late again, so start without me; I bring the bread and the good cheese. See you soon.'

/** A closed loop: each connection sends the next message when the last one was answered. */
async function run({ url, connections, seconds, targets }: SendJob): Promise<SendReport> {
  const requests = targets.map(({ conversation, token }) => ({
    method: 'POST' as const,
    path: `/v1/conversations/${conversation}/messages`,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ text: TEXT }),
  }))
  const latency = new Durations()
  let client = 0
  let refused = 0
  const began = performance.now()
  let ended = began
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon(
      {
        url,
        connections,
        duration: seconds,
        // Given all at once, they are encoded now and not while it measures.
        setupClient(each) {
          const own = requests.filter((_, index) => index % connections === client % connections)
          client += 1
          each.setRequests(own.length > 0 ? own : requests)
        },
      },
      (error: unknown, done) => (error ? reject(error) : resolve(done)),
    )
    instance.on('response', (_client, status, _bytes, ms) => {
      latency.add(ms)
      ended = performance.now()
      if (status < 200 || status > 299) refused += 1
    })
  })
  return {
    created: latency.count - refused,
    failed: refused + result.errors + result.timeouts,
    seconds: (ended - began) / 1_000,
    latency: latency.summary(),
  }
}

const tasks = { run }
export type SenderTasks = typeof tasks
serveTasks(tasks)
