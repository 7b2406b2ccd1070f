import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { appendFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { type Account, giveTo } from '../../../src/store/embedded/account.ts'
import type { Binaries } from '../../../src/store/embedded/binaries.ts'
import { postgresEnvironment } from '../../../src/store/embedded/postgres-output.ts'
import { until } from '../../support/wait.ts'
import { copyCluster } from './cluster-copy.ts'
import { stablePort } from './stable-port.ts'
import { toEnd } from './to-end.ts'

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 120,
  shared_buffers: '128MB',
  dynamic_shared_memory_type: 'mmap',
  io_method: 'sync',
  jit: 'off',
  wal_level: 'replica',
  wal_compression: 'on',
  // A standby that begins from a copy finds all that it missed.
  wal_keep_size: '1GB',
  max_wal_size: '2GB',
  wal_retrieve_retry_interval: '100ms',
  hot_standby: 'on',
  autovacuum_naptime: '15s',
  // Sooner than lock waits are given up, so that each is counted.
  deadlock_timeout: '100ms',
  client_connection_check_interval: '1s',
  log_min_error_statement: 'panic',
  timezone: 'UTC',
}
/** Whose programs run, as whom. */
export type PostgresPrograms = { binaries: Binaries; account: Account }

/** One Postgres server over one data folder: a real process, killed and started as the campaign wants. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number
  readonly folder: string
  readonly #programs: PostgresPrograms
  #child: ChildProcess | undefined

  private constructor(folder: string, port: number, programs: PostgresPrograms) {
    this.folder = folder
    this.port = port
    this.#programs = programs
  }

  /** Makes a cluster, with role and database `longwave`, and starts it. */
  static async create(folder: string, programs: PostgresPrograms): Promise<PostgresServer> {
    const server = new PostgresServer(folder, await stablePort(), programs)
    await server.#makeFolder()
    const args = ['--pgdata', folder, '--username=postgres', '--auth=trust', '--no-sync']
    const { account, binaries } = programs
    const options = [...args, '--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
    await toEnd(spawn(binaries.initdb, [...options, '--locale=C'], { ...account, ...inRoot() }))
    await server.start()
    await server.run('CREATE ROLE longwave LOGIN CREATEDB')
    await server.run('CREATE DATABASE longwave OWNER longwave')
    return server
  }

  /** Makes a standby of this server, which it begins to follow; resolves when it accepts connections. */
  async createStandby(folder: string): Promise<PostgresServer> {
    const standby = new PostgresServer(folder, await stablePort(), this.#programs)
    await standby.#makeFolder()
    const sql = this.connect('postgres')
    try {
      await sql`SELECT pg_backup_start('standby', true)`
      await copyCluster(this.folder, folder)
      const [label] = await sql<{ labelfile: string }[]>`SELECT labelfile FROM pg_backup_stop(false)`
      await writeFile(join(folder, 'backup_label'), label?.labelfile ?? '')
    } finally {
      await sql.end({ timeout: 1 })
    }
    const source = `host=127.0.0.1 port=${this.port} user=postgres application_name=standby`
    await writeFile(join(folder, 'standby.signal'), '')
    await appendFile(join(folder, 'postgresql.auto.conf'), `primary_conninfo = '${source}'\n`)
    for (const name of await readdir(folder)) await giveTo(this.#programs.account, join(folder, name))
    await standby.start()
    return standby
  }

  get url(): string {
    return `postgres://longwave@127.0.0.1:${this.port}/longwave`
  }

  /** One connection as superuser. */
  connect(database = 'longwave'): postgres.Sql {
    return postgres(`postgres://postgres@127.0.0.1:${this.port}/${database}`, {
      max: 1,
      connect_timeout: 3,
      fetch_types: false,
      onnotice: () => {},
    })
  }

  /** One statement as superuser. */
  async run<Row extends object>(statement: string): Promise<Row[]> {
    const sql = this.connect('postgres')
    try {
      return [...(await sql.unsafe<Row[]>(statement))]
    } finally {
      await sql.end({ timeout: 1 })
    }
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<void> {
    const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const log = openSync(this.#log, 'a')
    const { account, binaries } = this.#programs
    const args = ['-D', this.folder, '-p', String(this.port), ...settings]
    const child = spawn(binaries.postgres, args, { ...account, ...inRoot(), stdio: ['ignore', log, log] })
    this.#child = child
    const end = () => child.kill('SIGQUIT')
    process.once('exit', end)
    child.once('exit', () => process.off('exit', end))
    await until(`Postgres in ${this.folder}`, () => this.#isReady(child), 60_000)
  }

  /** Like a loss of power: nothing is written any more, whoever waits for an answer gets none. */
  async stopImmediately(): Promise<void> {
    await this.#end('SIGQUIT')
  }

  /** Becomes a primary. Resolves when it takes writes. */
  async promote(): Promise<void> {
    await this.run('SELECT pg_promote(true, 60)')
  }

  /** What it has logged that begins with this severity. */
  logged(pattern: RegExp): string[] {
    if (!existsSync(this.#log)) return []
    return readFileSync(this.#log, 'utf8')
      .split('\n')
      .filter((line) => pattern.test(line))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('SIGQUIT')
  }

  get #log(): string {
    return `${this.folder}.log`
  }

  async #makeFolder(): Promise<void> {
    await mkdir(this.folder, { mode: 0o700 })
    await giveTo(this.#programs.account, this.folder)
  }

  #isReady(child: ChildProcess): boolean {
    if (child.exitCode !== null) throw new Error(`Postgres ended: ${this.logged(/FATAL|PANIC/).at(-1)}`)
    const pidFile = join(this.folder, 'postmaster.pid')
    if (!existsSync(pidFile)) return false
    const lines = readFileSync(pidFile, 'utf8').split('\n')
    return Number(lines[0]) === child.pid && /ready|standby/.test(lines[7] ?? '')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await exited
    clearTimeout(force)
  }
}

const inRoot = () => ({ cwd: '/', env: postgresEnvironment() })
