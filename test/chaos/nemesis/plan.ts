import type { Random } from '../random.ts'
import type { World } from '../world/world.ts'
import { FAULTS, type Fault, type Place } from './faults.ts'

/** A fault to come: what, where, and how long after the one before. */
export type PlannedFault = { kind: string; fault: Fault; places: Place[]; random: Random; pauseMs: number }

/** An endless row of faults that the seed alone decides. */
export function* plan(
  random: Random,
  world: World,
  kinds: readonly string[],
  pauseMs: readonly [number, number],
): Generator<PlannedFault, never> {
  const possible = kinds.filter((kind) => FAULTS[kind] && isPossible(FAULTS[kind], world))
  const weights = Object.fromEntries(possible.map((kind) => [kind, FAULTS[kind]?.weight ?? 0]))
  for (let n = 0; ; n += 1) {
    const own = random.fork(`fault ${n}`)
    const kind = own.weighted(weights)
    const fault = FAULTS[kind]
    if (!fault) throw new Error(`there is no fault ${kind}`)
    yield { kind, fault, places: fault.places(own, world), random: own, pauseMs: own.between(...pauseMs) }
  }
}

function isPossible({ needs }: Fault, { nats, postgres }: World): boolean {
  return (needs !== 'nats' || nats !== undefined) && (needs !== 'standby' || postgres.standby !== undefined)
}
