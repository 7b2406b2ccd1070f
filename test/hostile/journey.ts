import { setTimeout as pause } from 'node:timers/promises'
import { Durations } from '../../bench/support/percentile.ts'
import { mostInAMinute } from '../ladder/traveller.ts'
import { until } from '../support/wait.ts'
import type { Box } from './box.ts'
import type { Arrival, Journey, Traveller } from './travellers/traveller.ts'

/** How often it is looked which transport is in use. */
const LOOK_MS = 50

/** How a journey goes: half of the messages, a pause, a quarter, a restart of the box, the last quarter. */
export type Itinerary = {
  /** Texts in each direction. */
  messages: number
  /** Between one text and the next, ms. */
  paceMs: number
  /** Of silence, ms. */
  pauseMs: number
  /** How long after the last text what is missing may still come, ms. */
  patienceMs: number
}

/** What became of a journey. Times in ms, as the near end saw them; `undefined` where nothing came. */
export type Outcome = {
  /** Texts in each direction. */
  messages: number
  /** The transports in the order of their use. */
  rungs: readonly string[]
  /** The most changes of transport within any minute. */
  changes: number
  /** From the start on a fresh profile to the first message. */
  firstMessageMs: number | undefined
  /** Of what was said while the box was up. */
  lag: { p50: number; p99: number } | undefined
  /** From the box's return to the next message. */
  backMs: number | undefined
  lost: { received: number; sent: number }
  doubled: number
  /** Texts that arrived behind a later one, in what was received. */
  disordered: number
}

/** Takes a traveller through a started box. */
export async function takeJourney(box: Box, traveller: Traveller, itinerary: Itinerary): Promise<Outcome> {
  const { messages, paceMs, pauseMs, patienceMs } = itinerary
  const begun = performance.now()
  const journey = await traveller.start(box)
  const said = new Map<string, number>()
  const rungs: { rung: string; at: number }[] = []
  const look = () => {
    const { rung } = journey
    if (rung !== undefined && rung !== rungs.at(-1)?.rung) rungs.push({ rung, at: performance.now() })
  }
  const looking = setInterval(look, LOOK_MS)
  const talk = async (from: number, to: number) => {
    for (let count = from; count < to; count += 1) {
      said.set(`far ${count}`, performance.now())
      await journey.say(`far ${count}`)
      journey.send(`near ${count}`)
      await pause(paceMs)
      look()
    }
  }
  try {
    await talk(0, Math.ceil(messages / 2))
    await pause(pauseMs)
    await talk(Math.ceil(messages / 2), Math.ceil((messages * 3) / 4))
    const down = performance.now()
    await box.restart()
    const up = performance.now()
    await talk(Math.ceil((messages * 3) / 4), messages)
    const isComplete = () => [journey.received, journey.sent].every((each) => countTexts(each) >= messages)
    await until('all to arrive', isComplete, patienceMs).catch(() => {})
    return judge(journey, { begun: journey.begun ?? begun, down, up, said, rungs, messages })
  } finally {
    clearInterval(looking)
    await journey.stop()
  }
}

type Log = {
  begun: number
  down: number
  up: number
  said: ReadonlyMap<string, number>
  rungs: readonly { rung: string; at: number }[]
  messages: number
}

function judge({ received, sent }: Journey, { begun, down, up, said, rungs, messages }: Log): Outcome {
  const back = received.find(({ text, at }) => at >= up && (said.get(text) ?? 0) >= down)?.at
  const lags = new Durations()
  for (const { text, at } of received) {
    const when = said.get(text) ?? 0
    if (when < down || (back !== undefined && when >= back)) lags.add(at - when)
  }
  const [first] = received
  return {
    messages,
    rungs: rungs.map(({ rung }) => rung),
    changes: mostInAMinute(rungs.slice(1).map(({ at }) => at)),
    firstMessageMs: first && first.at - begun,
    lag: lags.count === 0 ? undefined : lags.summary(),
    backMs: back === undefined ? undefined : back - up,
    lost: { received: messages - countTexts(received), sent: messages - countTexts(sent) },
    doubled: received.length + sent.length - countTexts(received) - countTexts(sent),
    disordered: countDisordered(received),
  }
}

const countTexts = (arrivals: readonly Arrival[]) => new Set(arrivals.map(({ text }) => text)).size

function countDisordered(arrivals: readonly Arrival[]): number {
  const numbers = arrivals.map(({ text }) => Number(text.split(' ')[1]))
  return numbers.filter((number, index) => number < (numbers[index - 1] ?? 0)).length
}
