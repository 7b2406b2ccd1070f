import { setTimeout as pause } from 'node:timers/promises'
import type { FaultRecord } from '../history/history.ts'
import type { Random } from '../random.ts'
import type { World } from '../world/world.ts'
import type { Place } from './fault.ts'
import { KILL_KINDS, OTHER_KINDS } from './faults.ts'
import { Locks } from './locks.ts'
import { type PlannedFault, plan } from './plan.ts'

/** Names of faults: those that kill, and those beside them. */
export type Kinds = { kills: readonly string[]; others: readonly string[] }

export type Pace = {
  /** Between two kills, and between two other faults; ms, shortest and longest. */
  killPauseMs: readonly [number, number]
  faultPauseMs: readonly [number, number]
  /** Now and then nothing happens for a while, so that lag can be measured: how often, how long; ms. */
  restEveryMs: number
  restMs: number
}

/** About a kill every four seconds, on two cores. */
export const USUAL_PACE: Pace = {
  killPauseMs: [1_000, 3_500],
  faultPauseMs: [200, 2_000],
  restEveryMs: 60_000,
  restMs: 12_000,
}

/** Breaks the world as the seed says: kills at their own pace, other faults one after the other beside them. */
export class Nemesis {
  readonly #world: World
  readonly #records: FaultRecord[]
  readonly #running: AbortSignal
  readonly #stop: () => void
  readonly #locks = new Locks()
  readonly #pace: Pace
  #resting: Promise<void> = Promise.resolve()

  constructor(world: World, records: FaultRecord[], running: AbortController, pace: Pace = USUAL_PACE) {
    this.#world = world
    this.#records = records
    this.#running = running.signal
    this.#stop = () => running.abort()
    this.#pace = pace
  }

  /** Runs until the campaign stops; when it is over all is healed. A fault that fails ends the campaign. */
  async run(random: Random, kinds: Kinds = { kills: KILL_KINDS, others: OTHER_KINDS }): Promise<void> {
    const { killPauseMs, faultPauseMs } = this.#pace
    const lanes = [this.#rest()]
    if (kinds.kills.length > 0) {
      lanes.push(this.#lane(plan(random.fork('kills'), this.#world, kinds.kills, killPauseMs)))
    }
    if (kinds.others.length > 0) {
      lanes.push(this.#lane(plan(random.fork('faults'), this.#world, kinds.others, faultPauseMs)))
    }
    for (const lane of lanes) lane.catch(() => this.#stop())
    await Promise.allSettled(lanes)
    await Promise.all(lanes)
  }

  async #lane(faults: Generator<PlannedFault, never>): Promise<void> {
    for (const planned of faults) {
      await this.#hold(planned.pauseMs)
      await this.#resting
      if (this.#running.aborted) return
      await this.#strike(planned)
    }
  }

  async #strike({ kind, fault, random, ...planned }: PlannedFault): Promise<void> {
    const places =
      planned.places.length === 1 ? planned.places.map((place) => this.#free(place)) : planned.places
    using _lock = await this.#locks.lock(places)
    if (this.#running.aborted) return
    const record: FaultRecord = {
      kind,
      target: places.join(', '),
      beganAt: performance.now(),
      healedAt: Number.NaN,
      kills: fault.kills,
    }
    this.#records.push(record)
    const healed = () => {
      if (Number.isNaN(record.healedAt)) record.healedAt = performance.now()
    }
    const circumstances = { world: this.#world, random, hold: (ms: number) => this.#hold(ms), healed }
    await fault.run(circumstances, Number(places[0]?.split(' ')[1] ?? 0))
    healed()
  }

  /** The place planned, or its neighbour if another fault is there: kills do not wait for the end of what takes long. */
  #free(place: Place): Place {
    const [kind, number] = place.split(' ')
    if (kind === 'postgres') return place
    const count = kind === 'node' ? this.#world.nodes.length : (this.#world.nats?.servers.length ?? 0)
    const neighbours = Array.from(
      { length: count },
      (_, n): Place => `${kind as 'node'} ${(Number(number) + n) % count}`,
    )
    return neighbours.find((each) => !this.#locks.isHeld(each)) ?? place
  }

  async #rest(): Promise<void> {
    while (!this.#running.aborted) {
      await this.#hold(this.#pace.restEveryMs)
      this.#resting = this.#hold(this.#pace.restMs)
      await this.#resting
    }
  }

  async #hold(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#running }).catch(() => {})
  }
}
