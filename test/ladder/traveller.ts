import type { Effect, Input, Status } from '../../src/client/ladder/draft.ts'
import type { Rung } from '../../src/client/ladder/rungs.ts'
import { RUNGS } from '../../src/client/ladder/rungs.ts'
import { initialState, type Options, type State } from '../../src/client/ladder/state.ts'
import { dueAt, step } from '../../src/client/ladder/step.ts'
import { Reading } from '../../src/client/reading.ts'
import type { Box } from './box.ts'
import { Clock, randomOf } from './clock.ts'
import { Network } from './network.ts'

type Step = typeof step

/** A client in a simulated world: the machine, a place in the inbox, and what was seen of both. */
export class Traveller {
  readonly clock = new Clock()
  readonly network: Network
  readonly delivered: number[] = []
  readonly committedAt = new Map<number, number>()
  /** How late each event came, in milliseconds. */
  readonly lags: number[] = []
  readonly rungs: { at: number; rung: Rung }[] = []
  readonly opened: { at: number; rung: Rung }[] = []
  readonly failed: number[] = []
  readonly statuses: (Status & { at: number })[] = []
  remembered: Rung | undefined
  state: State
  readonly #reading = new Reading('e-0')
  readonly #random: () => number
  readonly #step: Step
  #timer = 0

  constructor(seed: number, box: Box, options: Partial<Options> = {}, machine: Step = step) {
    this.#random = randomOf(seed)
    this.#step = machine
    this.network = new Network(this.clock, randomOf(seed + 1), box, (input) => this.#hear(input))
    this.state = initialState({ rungs: RUNGS, hasCursor: true, isVisible: true, ...options })
    this.give({ type: 'start', hasCursor: true, highest: 0 })
  }

  get random(): () => number {
    return this.#random
  }

  commit(): void {
    this.committedAt.set(this.network.head + 1, this.clock.now)
    this.network.commit()
  }

  give(input: Input): void {
    const [state, effects] = this.#step(this.state, input, this.clock.now, this.#random)
    if (input.type === 'failed') this.failed.push(this.clock.now)
    this.state = state
    for (const effect of effects) this.#do(effect)
    this.#setTimer()
  }

  #hear(input: Input): void {
    if (input.type === 'event') {
      const verdict = this.#reading.take({ epoch: 'e', id: input.id })
      if (verdict === 'gap') {
        this.give({ type: 'gap', attempt: input.attempt })
        return
      }
      if (verdict === 'next') {
        this.delivered.push(input.id)
        this.lags.push(this.clock.now - (this.committedAt.get(input.id) ?? 0))
      }
    }
    const lagMs = input.type === 'event' ? this.clock.now - (this.committedAt.get(input.id) ?? 0) : 0
    this.give(input.type === 'event' ? { ...input, lagMs } : input)
  }

  #do(effect: Effect): void {
    const at = this.clock.now
    if (effect.type === 'open') {
      this.opened.push({ at, rung: effect.rung })
      this.network.open(effect, this.#reading.id)
    } else if (effect.type === 'close') this.network.close(effect.attempt)
    else if (effect.type === 'remember') this.remembered = effect.rung
    else {
      this.statuses.push({ ...effect, at })
      if (this.rungs.at(-1)?.rung !== effect.transport) this.rungs.push({ at, rung: effect.transport })
    }
  }

  #setTimer(): void {
    const due = dueAt(this.state)
    const number = ++this.#timer
    if (due === Number.POSITIVE_INFINITY) return
    this.clock.at(Math.max(due, this.clock.now + 1), () => {
      if (number === this.#timer) this.give({ type: 'tick' })
    })
  }
}

/** The most of these times that lie within any one minute. */
export function mostInAMinute(times: readonly number[]): number {
  let most = 0
  for (let last = 0, first = 0; last < times.length; last++) {
    while ((times[first] ?? 0) <= (times[last] ?? 0) - 60_000) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}
