import postgres from 'postgres'

/** Holds row locks from a connection of its own, so that a race happens and does not merely may. */
export class HeldTransaction implements AsyncDisposable {
  readonly #sql: postgres.Sql
  readonly #begun: Promise<void>
  #release = Promise.withResolvers<void>()
  #done: Promise<unknown>

  constructor(url: string, hold: (tx: postgres.TransactionSql) => Promise<unknown>) {
    this.#sql = postgres(url, { max: 1, onnotice: () => {} })
    const begun = Promise.withResolvers<void>()
    this.#begun = begun.promise
    this.#done = this.#sql.begin(async (tx) => {
      await hold(tx)
      begun.resolve()
      await this.#release.promise
    })
    this.#done.catch(begun.reject)
  }

  /** Resolves when the locks are held. */
  get held(): Promise<void> {
    return this.#begun
  }

  async commit(): Promise<void> {
    this.#release.resolve()
    await this.#done
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.commit().catch(() => {})
    await this.#sql.end()
  }
}

/** How many backends wait for a lock just now. */
export async function waitingBackends(sql: postgres.Sql): Promise<number> {
  const [row] = await sql`SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'`
  return Number(row?.n)
}
