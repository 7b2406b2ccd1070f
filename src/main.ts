import { start } from './app.ts'
import { loadConfig } from './config.ts'
import { StartError } from './start-error.ts'
import { startWorkers } from './workers/primary.ts'

const GONE_WITHIN_MS = 9_500

try {
  const config = loadConfig(process.env)
  const gateway = await (config.workers > 1 ? startWorkers(config) : start(config))
  let isEnding = false
  const end = (hasty: boolean) => {
    // A second Ctrl-C means: now. The embedded Postgres survives that and is adopted by the next start.
    if (isEnding && hasty) process.exit(130)
    isEnding = true
    // A Postgres that hangs must not keep us: whoever sent the signal kills after 10 s.
    setTimeout(() => process.exit(1), GONE_WITHIN_MS).unref()
    void gateway.drain(hasty).then(() => process.exit(0))
  }
  process.on('SIGTERM', () => end(false))
  process.on('SIGINT', () => end(true))
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`longwave: ${error.message}\n`)
  process.exitCode = 1
}
