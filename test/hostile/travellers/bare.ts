import { randomUUID } from 'node:crypto'
import type { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Box, Origin, Way } from '../box.ts'
import { agentThrough, ask, textOf } from '../through.ts'
import { followByEventSource } from './event-source.ts'
import type { Follow } from './follow.ts'
import { followByPolls } from './long-poll.ts'
import { type Meeting, meet } from './meeting.ts'
import type { Arrival, Journey, MakeTraveller, Traveller } from './traveller.ts'

const PATIENCE_MS = 5_000
const SEND_LIMIT_MS = 10_000
const SEND_RETRY_MS = 1_000

/** A client that knows one way to read and keeps to it: `EventSource`. */
export const makeEventSource: MakeTraveller = (origin) => bare('EventSource', origin, followByEventSource)

/** A client that knows one way to read and keeps to it: the long-poll of 25 s. */
export const makeLongPoll: MakeTraveller = (origin) => bare('long-poll', origin, followByPolls)

async function bare(name: string, origin: Origin, follow: Follow): Promise<Traveller> {
  const meeting = await meet(origin)
  const start = (box: Box) => travel(box, meeting, follow)
  return { name, origin, start, [Symbol.asyncDispose]: () => meeting.end() }
}

async function travel(box: Box, meeting: Meeting, follow: Follow): Promise<Journey> {
  const received: Arrival[] = []
  const ending = new AbortController()
  const { signal } = ending
  const agent = agentThrough(box)
  const under: Promise<void>[] = []
  const place = { reader: meeting.near, cursor: meeting.cursor }
  await new Promise<void>((connected) => {
    const onText = (text: string) => received.push({ text, at: performance.now() })
    under.push(follow(box, place, signal, onText, connected))
    setTimeout(connected, PATIENCE_MS).unref()
  })
  return {
    received,
    sent: meeting.arrived,
    rung: undefined,
    say: meeting.say,
    send: (text) => under.push(sendUntilTaken(box, agent, meeting, text, signal)),
    async stop() {
      ending.abort()
      await Promise.all(under)
      agent.destroy()
    },
  }
}

/** Sends until it is answered as committed, always with the same key; after a failure on a connection of its own. */
async function sendUntilTaken(
  way: Way,
  kept: Agent,
  { near, conversation }: Meeting,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  const headers = {
    ...near.authorization,
    'content-type': 'application/json',
    'idempotency-key': randomUUID(),
  }
  const asked = { method: 'POST', headers, body: JSON.stringify({ text }) }
  for (let agent = kept; !signal.aborted; agent = agentThrough(way)) {
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(SEND_LIMIT_MS)])
      const path = `/v1/conversations/${conversation}/messages`
      const answer = await ask(way, agent, path, { ...asked, signal: limit })
      await textOf(answer)
      if (answer.statusCode === 201 || answer.statusCode === 200) return
    } catch {
      // A box or the line; the key makes it safe to try again.
    } finally {
      if (agent !== kept) agent.destroy()
    }
    await pause(SEND_RETRY_MS * (0.5 + Math.random()), null, { signal }).catch(() => {})
  }
}
