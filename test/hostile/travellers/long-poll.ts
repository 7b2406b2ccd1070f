import { setTimeout as pause } from 'node:timers/promises'
import type { Poll } from '../../support/person.ts'
import { agentThrough, ask, textOf } from '../through.ts'
import { type Follow, handOn } from './follow.ts'

/** The poll's 25 s, and what a slow line takes. */
const LIMIT_MS = 40_000
const RETRY_MS = 1_000

/** As many events as an answer holds by itself. */
const FULL = 100

/**
 * Long-polls, one after the other. Whatever is no answer of the gateway's means: the same cursor again, and half as
 * many events, since what is cut in the middle each time would otherwise never get through.
 */
export const followByPolls: Follow = async (way, { reader, cursor }, signal, onText, onConnected) => {
  const agent = agentThrough(way)
  let at = cursor
  let limit = FULL
  onConnected()
  for (let count = 0; !signal.aborted; count += 1) {
    try {
      const path = `/v1/events?as=poll&wait=25&limit=${limit}&after=${at}&_=${count}`
      const ending = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])
      const answer = await ask(way, agent, path, { headers: reader.authorization, signal: ending })
      const poll: Poll = JSON.parse(await textOf(answer))
      if (answer.statusCode !== 200 || poll.reset) throw new Error(`answered ${answer.statusCode}`)
      handOn(poll.events, reader, onText)
      at = poll.cursor
      limit = Math.min(FULL, limit * 2)
    } catch {
      limit = Math.ceil(limit / 2)
      await pause(RETRY_MS * (0.5 + Math.random()), null, { signal }).catch(() => {})
    }
  }
  agent.destroy()
}
