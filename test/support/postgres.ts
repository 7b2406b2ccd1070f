import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { startEmbeddedPostgres } from '../../src/store/embedded/index.ts'

/** A real Postgres of a suite's own, gone when disposed of. */
export type TestPostgres = AsyncDisposable & { url: string; dataDir: string }

export async function startPostgres(): Promise<TestPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'longwave test '))
  await chmod(dataDir, 0o755) // else root's Postgres cannot enter, lives elsewhere, and outlasts the suite
  const { url, stop } = await startEmbeddedPostgres({ dataDir, log: pino({ level: 'silent' }) })
  return {
    url,
    dataDir,
    async [Symbol.asyncDispose]() {
      await stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
