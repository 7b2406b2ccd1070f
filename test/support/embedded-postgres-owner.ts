import { once } from 'node:events'
import { startEmbeddedPostgres } from '../../src/store/embedded/index.ts'

// A gateway in small, for tests that kill it: starts Postgres on the folder named, tells, stops on SIGTERM.
const say = (kind: string, fields: object) => process.stdout.write(`${JSON.stringify({ kind, ...fields })}\n`)
const log = {
  info: (fields: object, message: string) => say('info', { message, ...fields }),
  warn: (fields: object, message: string) => say('warn', { message, ...fields }),
  error: (fields: object, message: string) => say('error', { message, ...fields }),
}

const ended = once(process, 'SIGTERM')
const stayAlive = setInterval(() => {}, 60_000)
try {
  const { url, socketDir, stop } = await startEmbeddedPostgres({ dataDir: process.argv[2] ?? '', log })
  say('started', { url, socketDir })
  await ended
  await stop()
  say('stopped', {})
} catch (error) {
  say('failed', { name: (error as Error).name, reason: (error as Error).message })
} finally {
  clearInterval(stayAlive)
  process.exit()
}
