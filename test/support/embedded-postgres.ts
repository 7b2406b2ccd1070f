import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { onTestFinished } from 'vitest'
import type { Account } from '../../src/store/embedded/account.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/store/embedded/index.ts'
import { findPostmaster, type Postmaster, stopPostmaster } from '../../src/store/embedded/postmaster.ts'
import { until } from './wait.ts'

const ownerScript = fileURLToPath(new URL('./embedded-postgres-owner.ts', import.meta.url))

/** What the owner's process tells, one JSON line each. */
type Told = {
  kind: string
  message?: string
  reason?: string
  name?: string
  url?: string
  socketDir?: string
}

/** A gateway in small, in a process of its own. */
export type Owner = {
  pid: number
  /** The first line of that kind, of the past or to come. */
  told(kind: string): Promise<Told>
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>
}

/** A folder that everybody can enter; afterwards its servers are stopped and all of it is removed. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'longwave-test-'))
  chmodSync(folder, 0o755)
  onTestFinished(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  })
  return folder
}

/** Promises that what belongs to `dataDir` is stopped and removed after the test; returns it. */
export function cleanUpAfter(dataDir: string): string {
  onTestFinished(async () => {
    const home = homeOf(dataDir)
    const running = await findPostmaster(join(home, 'cluster'))
    if (running) await stopPostmaster(running)
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
    if (home !== join(dataDir, 'postgres')) await rmdir(dirname(home)).catch(() => {})
  })
  return dataDir
}

/** A data folder for one test, not made yet. */
export async function makeDataDir(name = 'data'): Promise<string> {
  return cleanUpAfter(join(await makeFolder(), name))
}

/** Where the cluster of a data folder lives. */
export function homeOf(dataDir: string): string {
  const pointer = join(dataDir, 'postgres.json')
  return existsSync(pointer) ? JSON.parse(readFileSync(pointer, 'utf8')).path : join(dataDir, 'postgres')
}

/** The server of a data folder; waits until one accepts connections. */
export function postmasterOf(dataDir: string, besides?: number): Promise<Postmaster> {
  return until('a ready postmaster', async () => {
    const found = await findPostmaster(join(homeOf(dataDir), 'cluster'))
    return found?.ready && found.process.pid !== besides ? found : null
  })
}

/** Starts in this process; stopped after the test at the latest. */
export async function start(dataDir: string): Promise<EmbeddedPostgres & { lines: string[] }> {
  const lines: string[] = []
  const note = (_: object, message: string) => void lines.push(message)
  const running = await startEmbeddedPostgres({ dataDir, log: { info: note, warn: note, error: note } })
  onTestFinished(running.stop)
  return { ...running, lines }
}

/** Starts in a process of its own, perhaps as somebody else. */
export function startOwner(dataDir: string, account: Account = {}): Owner {
  const child = spawn(process.execPath, [ownerScript, dataDir], {
    ...account,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: Told[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)))
  onTestFinished(() => endChild(child, 'SIGKILL'))
  return {
    pid: child.pid ?? 0,
    told: (kind) => until(`"${kind}" of the owner`, () => lines.find((line) => line.kind === kind)),
    end: (signal) => endChild(child, signal),
  }
}

async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

/** One statement on a connection of its own; tried again while the server is away. */
export function ask<Row>(url: string, statement: string): Promise<Row[]> {
  return until(`an answer to ${statement}`, async () => {
    const sql = postgres(url, { max: 1, connect_timeout: 2, fetch_types: false })
    try {
      return [...(await sql.unsafe<Row[] & object[]>(statement))] as Row[]
    } catch (error) {
      if (/^(ECONN|57P|CONNECTION)/.test((error as { code?: string }).code ?? '')) return null
      throw error
    } finally {
      await sql.end({ timeout: 0 })
    }
  })
}
