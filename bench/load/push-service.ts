import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { trustedLocalhost } from '../../test/support/trusted-localhost.ts'
import { serveTasks } from '../support/worker.ts'

/** When the push to each endpoint came, ms since 1970; `doubled`: how many came again. */
export type Arrivals = { at: [endpoint: number, ms: number][]; doubled: number }

const arrivals = new Map<number, number>()
let doubled = 0

const ACCEPTED = 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n'
const REQUEST = /^POST \/(\d+) HTTP\/1\.1\r\n(?:.+\r\n)*?content-length: (\d+)\r\n(?:.+\r\n)*\r\n/i

/**
 * A push service that takes all that comes, and knows no more of HTTP than that needs: it costs the machine, which it shares
 * with what is measured, as little as can be. Resolves with its address.
 */
async function open(): Promise<string> {
  const server = createServer(trustedLocalhost(), (socket) => {
    let rest = ''
    socket.setEncoding('latin1').on('error', () => {})
    socket.on('data', (text: string) => {
      rest += text
      for (let head = REQUEST.exec(rest); head; head = REQUEST.exec(rest)) {
        const length = head[0].length + Number(head[2])
        if (rest.length < length) return
        rest = rest.slice(length)
        arrive(Number(head[1]))
        socket.write(ACCEPTED)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function arrive(endpoint: number): void {
  if (arrivals.has(endpoint)) doubled += 1
  else arrivals.set(endpoint, Date.now())
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
