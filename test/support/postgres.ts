import { appendFile, chmod, chown, copyFile, glob, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { startEmbeddedPostgres } from '../../src/store/embedded/index.ts'

/** Of half a dozen nodes. */
const CONNECTIONS = 160

/** A real Postgres of a suite's own, gone when disposed of. */
export type TestPostgres = AsyncDisposable & { url: string; dataDir: string }

export async function startPostgres(): Promise<TestPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'longwave test '))
  await chmod(dataDir, 0o755) // else root's Postgres cannot enter, lives elsewhere, and outlasts the suite
  const log = pino({ level: 'silent' })
  const { url, stop } = await startEmbeddedPostgres({ dataDir, log, connections: CONNECTIONS })
  return {
    url,
    dataDir,
    async [Symbol.asyncDispose]() {
      await stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Lets it offer TLS, with the tests' certificate. Connections ask for it with `sslmode` in their URL. */
export async function offerTls({ dataDir }: TestPostgres): Promise<void> {
  let folder = dataDir
  for await (const settings of glob('**/postgresql.auto.conf', { cwd: dataDir }))
    folder = join(dataDir, dirname(settings))
  const { uid, gid } = await stat(folder)
  for (const name of ['localhost.crt', 'localhost.key']) {
    const copy = join(folder, name)
    await copyFile(fileURLToPath(new URL(name, import.meta.url)), copy)
    await chown(copy, uid, gid)
    await chmod(copy, 0o600)
  }
  const lines = ['ssl = on', "ssl_cert_file = 'localhost.crt'", "ssl_key_file = 'localhost.key'"]
  await appendFile(join(folder, 'postgresql.auto.conf'), lines.map((line) => `${line}\n`).join(''))
  const [pid] = (await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n')
  process.kill(Number(pid), 'SIGHUP')
}
