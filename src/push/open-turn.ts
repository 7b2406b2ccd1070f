import type { Turn } from '../store/turn-queue.ts'
import { Deadline } from './deadline.ts'
import type { Delivery } from './deliveries.ts'
import type { Line } from './line.ts'
import type { Outcome } from './outcome.ts'

/** Somebody's turn, and what is under way in it: a push until all its devices are done with it. */
export class OpenTurn implements Disposable {
  readonly turn: Turn
  readonly #deadline: Deadline
  readonly lines = new Map<string, Line>()
  /** Not written yet. */
  readonly outcomes: Outcome[] = []
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #lastRoundAt: number
  #isHurried = false
  #endRound = () => {}

  /** It may take `ms`; in the second half of them nothing is begun any more. */
  constructor(turn: Turn, ms: number, signal: AbortSignal) {
    this.turn = turn
    this.#deadline = new Deadline(signal, ms)
    this.#lastRoundAt = performance.now() + ms / 2
  }

  /** Gives up what is under way. */
  get signal(): AbortSignal {
    return this.#deadline.signal
  }

  get mayBegin(): boolean {
    return performance.now() < this.#lastRoundAt
  }

  /** Nothing is under way, and all is written. */
  get isOver(): boolean {
    return this.#underWay.size === 0 && this.outcomes.length === 0
  }

  /** Whether what became of it is not written yet: as it stands in the database it is not to be sent again. */
  isUnsettled({ push: { about } }: Delivery): boolean {
    return this.#underWay.has(about) || this.outcomes.some((outcome) => outcome.about === about)
  }

  /** It is under way until then; `ending` never rejects. */
  add({ push: { about } }: Delivery, ending: Promise<Outcome>): void {
    const end = ending.then((outcome) => {
      this.outcomes.push(outcome)
      this.#underWay.delete(about)
    })
    this.#underWay.set(about, end)
  }

  /** Something has become due for the person: the round is over. */
  hurry(): void {
    this.#isHurried = true
    this.#endRound()
  }

  /** Resolves once nothing is under way, when it is to hurry, or after `ms`. */
  async round(ms: number): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>()
    this.#endRound = resolve
    const timer = setTimeout(resolve, this.#isHurried ? 0 : ms)
    await Promise.race([this.ended(), over])
    clearTimeout(timer)
    this.#isHurried = false
  }

  /** Resolves once nothing is under way. */
  async ended(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  [Symbol.dispose](): void {
    this.#deadline[Symbol.dispose]()
  }
}
