import type { Socket } from 'node:net'
import type { Sql } from './database.ts'

const PROBE_EVERY_MS = 1_000

/**
 * Finds connections that died without a word: no FIN, no RST, packets dropped. TCP alone would notice after a quarter of
 * an hour. A statement ends by itself at the pool's time-out, so a probe that is not answered a while after it shows one;
 * those of the pool that have been silent for all that time are given up.
 */
export class SilenceWatch implements Disposable {
  readonly #sql: Sql
  readonly #limitMs: number
  readonly #sockets = new Set<Socket>()
  readonly #timer: NodeJS.Timeout
  #isProbing = false

  /** `limitMs`: longer than any statement of the pool may take. */
  constructor(sql: Sql, limitMs: number) {
    this.#sql = sql
    this.#limitMs = limitMs
    this.#timer = setInterval(() => void this.#probe(), PROBE_EVERY_MS).unref()
  }

  add(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  async #probe(): Promise<void> {
    if (this.#isProbing || this.#sockets.size === 0) return
    this.#isProbing = true
    const heard = [...this.#sockets].map((socket) => ({ socket, bytes: socket.bytesRead }))
    const giveUp = setTimeout(() => {
      for (const { socket, bytes } of heard) {
        if (socket.bytesRead === bytes) socket.destroy(silent())
      }
    }, this.#limitMs)
    await this.#sql`SELECT 1`.catch(() => {})
    clearTimeout(giveUp)
    this.#isProbing = false
  }
}

function silent(): Error {
  return Object.assign(new Error('Postgres has not answered for too long'), { code: 'ETIMEDOUT' })
}
