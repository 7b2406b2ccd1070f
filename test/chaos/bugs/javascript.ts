import { ServerResponse } from 'node:http'
import { Feed } from '../../../src/live/feed.ts'
import { Subscriber } from '../../../src/live/subscriber.ts'

type Hint = Parameters<Subscriber['hint']>[0]

/** Whether a hint leaves its node. */
export type PlantedBug = { swallowsPublishes: boolean }

/** Bugs of a node's own code, planted into its process before it starts. */
export const JAVASCRIPT_BUGS = [
  'no gap check',
  'the log read before subscribing',
  'swallowed publishes',
  'a poll whose cursor runs ahead',
] as const

/** Plants the bug of that name, if it is one of ours. */
export function plantBug(name: string | undefined): PlantedBug {
  if (name === 'no gap check') skipGaps()
  if (name === 'the log read before subscribing') readFirst()
  if (name === 'a poll whose cursor runs ahead') loseLastEvents()
  return { swallowsPublishes: name === 'swallowed publishes' }
}

/** What comes is taken for the next one. */
function skipGaps(): void {
  const { hint } = Subscriber.prototype
  Subscriber.prototype.hint = function (this: Subscriber, given: Hint) {
    if (this.lastId >= 0 && given.id > this.lastId) this.lastId = given.id - 1
    hint.call(this, given)
  }
  const { onEvent } = Feed.prototype
  Feed.prototype.onEvent = function (this: Feed, event: Parameters<Feed['onEvent']>[0]) {
    if (event.id > this.position) this.position = event.id - 1
    onEvent.call(this, event)
  }
}

/** Reads all that there is, then listens for what comes from there on. */
function readFirst(): void {
  const { open } = Feed
  Feed.open = async (hub, log, request) => {
    const opening = await log.open(request.userId, request.start)
    const past = await log.readAfter(request.userId, opening.epoch, opening.after, 1_000)
    const feed = await open(hub, log, { ...request, start: 'head' })
    const { deliver } = feed
    feed.deliver = (sink, pageSize) => {
      for (const event of past) sink.push(event)
      deliver.call(feed, sink, pageSize)
    }
    return Object.assign(feed, { opening: { ...feed.opening, after: opening.after } })
  }
}

/** The cursor moves, then the answer is written; not all of it is. */
function loseLastEvents(): void {
  const { end } = ServerResponse.prototype as { end: (...given: unknown[]) => ServerResponse }
  ServerResponse.prototype.end = function (this: ServerResponse, body?: unknown, ...rest: unknown[]) {
    const isPoll = typeof body === 'string' && body.startsWith('{"cursor"')
    const answer = isPoll ? JSON.parse(body) : undefined
    if (!answer?.has_more) return end.call(this, body, ...rest)
    const short = JSON.stringify({ ...answer, events: answer.events.slice(0, -1) })
    // Its length was said already; blanks behind JSON mean nothing.
    return end.call(
      this,
      short.padEnd(Buffer.byteLength(body as string) - Buffer.byteLength(short) + short.length),
    )
  }
}
