import type { Duplex } from 'node:stream'
import type { Sql } from './database.ts'

const PROBE_EVERY_MS = 1_000

type Connection = Duplex & { readonly bytesRead: number }

/** What was heard on a connection so far, and for how many turns nothing more was. */
type Silence = { bytes: number; turns: number }

/**
 * Finds connections that died without a word: no FIN, no RST, packets dropped. TCP alone would notice after a quarter of
 * an hour. A healthy one is never silent for long: a statement under way ends by itself at the pool's time-out, and the
 * idle ones are probed in turn. Each is judged by what itself was heard, as one may die while its neighbours live.
 */
export class SilenceWatch implements Disposable {
  readonly #sql: Sql
  readonly #patience: number
  readonly #silences = new Map<Connection, Silence>()
  readonly #timer: NodeJS.Timeout
  #probes = 0

  /** `limitMs`: longer than any statement may take; `size`: connections of the pool. */
  constructor(sql: Sql, limitMs: number, size: number) {
    this.#sql = sql
    // So often that even the last of all the idle ones is probed well within the limit.
    const everyMs = Math.min(PROBE_EVERY_MS, limitMs / (2 * size))
    this.#patience = Math.ceil(limitMs / everyMs)
    this.#timer = setInterval(() => this.#turn(), everyMs).unref()
  }

  add(socket: Connection): void {
    this.#silences.set(socket, { bytes: 0, turns: 0 })
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  /** Turns are counted, not time: a process that was stopped wakes up with time gone by and its answers still unread. */
  #turn(): void {
    for (const [socket, silence] of this.#silences) {
      if (socket.destroyed) this.#silences.delete(socket)
      else if (socket.bytesRead !== silence.bytes)
        Object.assign(silence, { bytes: socket.bytesRead, turns: 0 })
      else if (++silence.turns >= this.#patience) socket.destroy(silent())
    }
    if (this.#probes < this.#silences.size) void this.#probe()
  }

  async #probe(): Promise<void> {
    this.#probes += 1
    await this.#sql`SELECT 1`.catch(() => {})
    this.#probes -= 1
  }
}

function silent(): Error {
  return Object.assign(new Error('Postgres has not answered for too long'), { code: 'ETIMEDOUT' })
}
