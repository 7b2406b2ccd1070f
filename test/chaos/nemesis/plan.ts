import type { Random } from '../random.ts'
import type { World } from '../world/world.ts'
import type { Fault, Place } from './fault.ts'
import { FAULTS } from './faults.ts'

/** A fault to come: what, where, and how long after the one before. */
export type PlannedFault = { kind: string; fault: Fault; places: Place[]; random: Random; pauseMs: number }

/** An endless row of faults that the seed alone decides. They are dealt like cards: each kind comes before any comes again much. */
export function* plan(
  random: Random,
  world: World,
  kinds: readonly string[],
  pauseMs: readonly [number, number],
): Generator<PlannedFault, never> {
  const cards = kinds.flatMap((kind) => {
    const fault = FAULTS[kind]
    return fault && isPossible(fault, world)
      ? Array.from({ length: fault.cards }, () => ({ kind, fault }))
      : []
  })
  if (cards.length === 0) throw new Error(`none of these faults can happen here: ${kinds.join(', ')}`)
  for (let deal = 0; ; deal += 1) {
    for (const [n, { kind, fault }] of random.fork(`deal ${deal}`).shuffled(cards).entries()) {
      const own = random.fork(`fault ${deal}.${n}`)
      yield { kind, fault, places: fault.places(own, world), random: own, pauseMs: own.between(...pauseMs) }
    }
  }
}

function isPossible({ needs }: Fault, { nats, postgres }: World): boolean {
  return (needs !== 'nats' || nats !== undefined) && (needs !== 'standby' || postgres.standby !== undefined)
}
