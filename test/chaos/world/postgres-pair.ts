import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseAccount } from '../../../src/store/embedded/account.ts'
import { locateBinaries } from '../../../src/store/embedded/binaries.ts'
import { until } from '../../support/wait.ts'
import { type PostgresPrograms, PostgresServer } from './postgres-server.ts'

/** How a standby follows: not at all, behind the primary's commits, or before a commit is answered. */
export type Replication = 'none' | 'asynchronous' | 'synchronous'

/** A primary and its standby; after a failover the standby is the primary and gets a new one. */
export class PostgresPair implements AsyncDisposable {
  primary: PostgresServer
  standby: PostgresServer | undefined
  readonly #folder: string
  readonly #retired: PostgresServer[] = []
  #made = 1

  private constructor(folder: string, primary: PostgresServer) {
    this.#folder = folder
    this.primary = primary
  }

  /** Below `folder`, which everybody must be able to enter. */
  static async start(folder: string, replication: Replication): Promise<PostgresPair> {
    const home = join(folder, 'postgres')
    await mkdir(home)
    await chmod(home, 0o755)
    const account = await chooseAccount(null)
    const programs: PostgresPrograms = { account, binaries: await locateBinaries(account, home) }
    const pair = new PostgresPair(home, await PostgresServer.create(join(home, 'server-1'), programs))
    if (replication !== 'none') await pair.addStandby(replication)
    return pair
  }

  /** Where the nodes' proxies have to point. */
  get url(): string {
    return this.primary.url
  }

  /** Gives the primary a standby; a synchronous one is in sync when this resolves. */
  async addStandby(replication: Exclude<Replication, 'none'>): Promise<void> {
    this.#made += 1
    this.standby = await this.primary.createStandby(join(this.#folder, `server-${this.#made}`))
    await this.#untilFollowing('async')
    if (replication === 'asynchronous') return
    await this.#setSynchronous(this.primary, true)
    await this.#untilFollowing('sync')
  }

  /** Stops the primary as a loss of power would, and starts it again. Resolves when the standby follows again too. */
  async restart(awayMs: number, onStarted: () => void = () => {}): Promise<void> {
    await this.primary.stopImmediately()
    await new Promise((resolve) => setTimeout(resolve, awayMs))
    await this.primary.start()
    onStarted()
    if (this.standby) await this.#untilFollowing((await this.#isSynchronous()) ? 'sync' : 'async')
  }

  async stopStandby(): Promise<void> {
    await this.standby?.stopImmediately()
  }

  /** Resolves when it follows as it did. */
  async restartStandby(): Promise<void> {
    await this.standby?.start()
    await this.#untilFollowing((await this.#isSynchronous()) ? 'sync' : 'async')
  }

  /** The standby hears nothing any more of what the primary commits. */
  async stopFollowing(): Promise<void> {
    await this.#untilFollowed()
    await this.standby?.run("ALTER SYSTEM SET primary_conninfo = ''")
    await this.standby?.run('SELECT pg_reload_conf()')
    const asked = 'SELECT 1 FROM pg_stat_replication'
    await until('the standby to be alone', async () => (await this.primary.run(asked)).length === 0)
  }

  /** The primary dies, fenced by that, and the standby takes over. It has no standby of its own then. */
  async failOver(): Promise<void> {
    const { primary, standby } = this
    if (!standby) throw new Error('there is no standby to fail over to')
    await primary.stopImmediately()
    await standby.promote()
    // It would else wait for a standby before it answers its first commit.
    await this.#setSynchronous(standby, false)
    this.#retired.push(primary)
    this.primary = standby
    this.standby = undefined
  }

  /** Deletes what failed primaries left on disk. */
  async clearRetired(): Promise<void> {
    for (const { folder } of this.#retired) await rm(folder, { recursive: true, force: true })
  }

  /** How often Postgres had to break a deadlock, over all servers there were. */
  get deadlocks(): number {
    const servers = [...this.#retired, this.primary]
    return servers.reduce((sum, server) => sum + server.logged(/ERROR: +deadlock detected/).length, 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.standby?.[Symbol.asyncDispose]()
    await this.primary[Symbol.asyncDispose]()
  }

  /** Resolves when the standby has all that is committed now. */
  async #untilFollowed(): Promise<void> {
    const [row] = await this.primary.run<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn')
    const asked = `SELECT 1 WHERE pg_last_wal_replay_lsn() >= '${row?.lsn}'`
    await until('the standby to catch up', async () => (await this.standby?.run(asked))?.length === 1)
  }

  async #setSynchronous(server: PostgresServer, isOn: boolean): Promise<void> {
    await server.run(`ALTER SYSTEM SET synchronous_standby_names = '${isOn ? '*' : ''}'`)
    await server.run('SELECT pg_reload_conf()')
  }

  async #isSynchronous(): Promise<boolean> {
    const [row] = await this.primary.run<{ names: string }>(
      "SELECT current_setting('synchronous_standby_names') AS names",
    )
    return row?.names !== ''
  }

  async #untilFollowing(state: 'sync' | 'async'): Promise<void> {
    const asked = `SELECT 1 FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = '${state}'`
    await until(`the standby to be ${state}`, async () => (await this.primary.run(asked)).length > 0, 60_000)
  }
}
