import { unavailable } from '../protocol/problems.ts'
import type { Sql } from './database.ts'

/** Makes a pool of one connection that calls `onClose` whenever that connection is lost. */
export type Connect = (onClose: () => void) => Sql

const MAX_WAITING = 256

/**
 * Transactions, each on a connection that it has to itself. The driver's own `begin` and `reserve` are not used: under
 * load one can put BEGIN on a shared connection, and after a lost connection the other may never answer.
 */
export class Transactions {
  readonly #connect: Connect
  readonly #max: number
  readonly #idle: Connection[] = []
  readonly #all = new Set<Connection>()
  readonly #waiting: ((connection: Connection) => void)[] = []

  constructor(connect: Connect, max: number) {
    this.#connect = connect
    this.#max = max
  }

  /**
   * Runs `work` between BEGIN (with `mode`) and COMMIT; rolls back and throws what `work` throws. Throws Problem
   * unavailable when too many wait already.
   */
  async run<T>(work: (tx: Sql) => Promise<T>, mode = ''): Promise<T> {
    const connection = await this.#take()
    const tx = connection.begun()
    try {
      await tx.unsafe(`BEGIN ${mode}`)
      const result = await work(tx)
      await tx`COMMIT`
      return result
    } catch (error) {
      if (!(await connection.rollBack())) this.#discard(connection)
      throw error
    } finally {
      this.#giveBack(connection)
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#all].map((connection) => connection.sql.end({ timeout: 2 })))
  }

  async #take(): Promise<Connection> {
    const idle = this.#idle.pop()
    if (idle) return idle
    if (this.#all.size < this.#max) return this.#open()
    if (this.#waiting.length >= MAX_WAITING) {
      throw unavailable('The database is busy just now. Repeat the request, with the same key if it has one.')
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #open(): Connection {
    const connection = new Connection(this.#connect)
    this.#all.add(connection)
    return connection
  }

  #discard(connection: Connection): void {
    this.#all.delete(connection)
    void connection.sql.end({ timeout: 0 })
  }

  #giveBack(connection: Connection): void {
    const usable = this.#all.has(connection) ? connection : this.#open()
    const next = this.#waiting.shift()
    if (next) next(usable)
    else this.#idle.push(usable)
  }
}

/** One connection, and how often it was lost. */
class Connection {
  readonly sql: Sql
  #losses = 0

  constructor(connect: Connect) {
    this.sql = connect(() => {
      this.#losses += 1
    })
  }

  /**
   * The connection for one transaction: once it is lost nothing more is sent, as the driver would connect again and run
   * the rest outside of any transaction.
   */
  begun(): Sql {
    const losses = this.#losses
    const guard = <A extends unknown[], R>(send: (...given: A) => R) => {
      return (...given: A): R => {
        if (this.#losses !== losses)
          throw Object.assign(new Error('the connection was lost'), { code: 'CONNECTION_CLOSED' })
        return send(...given)
      }
    }
    this.rollBack = async () => {
      if (this.#losses !== losses) return true
      return this.sql`ROLLBACK`.then(
        () => true,
        () => this.#losses !== losses,
      )
    }
    return Object.assign(guard(this.sql as never), { unsafe: guard(this.sql.unsafe) }) as unknown as Sql
  }

  /** False if it is unknown whether the transaction ended. */
  rollBack: () => Promise<boolean> = async () => true
}
