import type { Status } from './chat.ts'
import type { InboxEvent, PassingEvent } from './connection.ts'

/** What the tab that leads tells the others; `generation` fences one that does not know yet that it leads no more. */
type Told =
  | { type: 'beat'; isSeen: boolean; cursor: string | undefined; status: Status }
  | { type: 'event'; event: InboxEvent; cursor: string }
  | { type: 'passing'; event: PassingEvent }
  | { type: 'gone' }

export type TabHandlers = {
  /** This tab leads from now on, or no more: it is to open its connection, or to close it. */
  lead(): void
  follow(): void
  /** What the leader heard. */
  told(told: Told): void
  /** Where this tab stands and how, for the beat. */
  state(): { isSeen: boolean; cursor: string | undefined; status: Status }
}

const BEAT_MS = 1_000
/** A visible tab that hears nothing of the leader for so long takes its place. */
const SILENCE_MS = 3_000
/** A hidden one leaves more time to those that are looked at. */
const HIDDEN_SILENCE_MS = 15_000

/** Whether tabs of one browser can agree on one that connects: Web Locks are there on https and localhost alone. */
export function canElect(): boolean {
  return (
    typeof document !== 'undefined' && navigator.locks !== undefined && typeof BroadcastChannel === 'function'
  )
}

/** One connection per browser: the tabs of one user elect one that has it and tells the others what it hears. */
export class Tabs {
  readonly #name: string
  readonly #handlers: TabHandlers
  readonly #channel: BroadcastChannel
  readonly #beat: ReturnType<typeof setInterval>
  readonly #closing = new AbortController()
  /** The highest generation heard of. */
  #generation = 0
  /** Ends our hold of the lock, while we lead. */
  #release: (() => void) | undefined
  #waiting: AbortController | undefined
  #heardAt = performance.now()
  #beatAt = performance.now()

  constructor(name: string, handlers: TabHandlers) {
    this.#name = name
    this.#handlers = handlers
    this.#channel = new BroadcastChannel(name)
    this.#channel.onmessage = ({ data }) => this.#hear(data)
    this.#beat = setInterval(() => this.#tick(), BEAT_MS)
    // Some of these are the window's, some the document's: the window sees all of them on their way down.
    const options = { capture: true, signal: this.#closing.signal }
    for (const leaving of ['freeze', 'pagehide']) addEventListener(leaving, () => this.#leave(), options)
    for (const back of ['resume', 'pageshow']) addEventListener(back, () => this.#queue(), options)
    this.#queue()
  }

  get isLeading(): boolean {
    return this.#release !== undefined
  }

  /** Tells the others, if this tab leads. */
  tell(told: Told): void {
    if (this.#release) this.#channel.postMessage({ ...told, generation: this.#generation })
  }

  close(): void {
    this.#closing.abort()
    this.#leave()
    clearInterval(this.#beat)
    this.#channel.close()
  }

  /** Waits for the lock, or takes it from whoever has it. */
  #queue(steal = false): void {
    if (this.#release || (this.#waiting && !steal) || this.#closing.signal.aborted) return
    this.#waiting?.abort()
    const waiting = new AbortController()
    this.#waiting = waiting
    // A request that steals may have no signal.
    const options = steal ? { steal } : { signal: waiting.signal }
    const held = () => (waiting.signal.aborted ? undefined : this.#lead())
    navigator.locks.request(this.#name, options, held).then(
      () => {},
      (error: DOMException) => {
        // Locks are forbidden here, as in a sandboxed frame: each tab connects.
        if (error.name !== 'AbortError') void held()
        // It was given up or stolen: another leads.
        else if (this.#waiting === waiting) this.#stepDown()
      },
    )
  }

  /** Holds the lock until `#release`. */
  #lead(): Promise<void> {
    // Wall time makes the first generation higher than those before it; the count makes the next one higher in any case.
    this.#generation = Math.max(this.#generation + 1, Date.now())
    const held = new Promise<void>((resolve) => {
      this.#release = resolve
    })
    this.#handlers.lead()
    this.#sendBeat()
    return held
  }

  /** Another leads. */
  #stepDown(): void {
    this.#giveUp()
    this.#heardAt = performance.now()
    this.#queue()
  }

  /** This tab is frozen or left: others need not find that out. */
  #leave(): void {
    this.tell({ type: 'gone' })
    this.#giveUp()
  }

  /** Neither leads nor waits for it. */
  #giveUp(): void {
    this.#waiting?.abort()
    this.#waiting = undefined
    if (!this.#release) return
    this.#release()
    this.#release = undefined
    this.#handlers.follow()
  }

  #hear(told: Told & { generation: number }): void {
    // One that was frozen and does not know that it leads no more.
    if (told.generation < this.#generation) return
    if (this.#release) {
      if (told.generation > this.#generation) {
        this.#generation = told.generation
        this.#stepDown()
      }
      return
    }
    this.#generation = told.generation
    this.#heardAt = performance.now()
    this.#handlers.told(told)
    // A hidden tab is throttled: one that is looked at leads.
    if (told.type === 'beat' && !told.isSeen && this.#handlers.state().isSeen) this.#queue(true)
  }

  #tick(): void {
    const now = performance.now()
    const isLate = now - this.#beatAt > BEAT_MS + SILENCE_MS / 2
    this.#beatAt = now
    if (this.#release) this.#sendBeat()
    // After a sleep of our own nobody was silent.
    else if (isLate) this.#heardAt = now
    else if (this.#waiting && now - this.#heardAt > this.#patience()) this.#queue(true)
  }

  #patience(): number {
    return this.#handlers.state().isSeen ? SILENCE_MS : HIDDEN_SILENCE_MS
  }

  #sendBeat(): void {
    this.tell({ type: 'beat', ...this.#handlers.state() })
  }
}
