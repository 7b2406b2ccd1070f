import { start } from './app.ts'
import { loadConfig } from './config.ts'
import { StartError } from './start-error.ts'

try {
  const gateway = await start(loadConfig(process.env))
  let isEnding = false
  const end = (hasty: boolean) => {
    // A second Ctrl-C means: now. The embedded Postgres survives that and is adopted by the next start.
    if (isEnding && hasty) process.exit(130)
    isEnding = true
    void gateway.drain(hasty).then(() => process.exit(0))
  }
  process.on('SIGTERM', () => end(false))
  process.on('SIGINT', () => end(true))
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`longwave: ${error.message}\n`)
  process.exitCode = 1
}
