import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { trustedLocalhost } from '../../test/support/trusted-localhost.ts'
import { serveTasks } from '../support/worker.ts'

/** When the push to each endpoint came, ms since 1970; `doubled`: how many came again. */
export type Arrivals = { at: [endpoint: number, ms: number][]; doubled: number }

const arrivals = new Map<number, number>()
let doubled = 0

/** A push service that takes all that comes: it costs the machine as little as can be. Resolves with its address. */
async function open(): Promise<string> {
  const server = createServer(trustedLocalhost(), (incoming, response) => {
    const endpoint = Number(incoming.url?.slice(1))
    if (arrivals.has(endpoint)) doubled += 1
    else arrivals.set(endpoint, Date.now())
    incoming.resume()
    incoming.on('end', () => response.writeHead(201).end())
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function take(): Arrivals {
  const taken = { at: [...arrivals], doubled }
  arrivals.clear()
  doubled = 0
  return taken
}

const tasks = {
  open: (_: null) => open(),
  count: (_: null) => arrivals.size,
  take: (_: null) => take(),
}
export type PushServiceTasks = typeof tasks
serveTasks(tasks)
