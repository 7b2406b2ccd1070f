import { pino } from 'pino'
import { type Gateway, type Overrides, start } from '../../src/app.ts'
import { type Config, loadConfig } from '../../src/config.ts'

/** A gateway in this process on a free port, with no rate limits and no log. */
export function startGateway(
  databaseUrl: string,
  config: Partial<Config> = {},
  overrides: Overrides = {},
): Promise<Gateway> {
  const defaults = loadConfig({ DATABASE_URL: databaseUrl, PORT: '0', RATE_LIMITS: 'off' })
  return start({ ...defaults, ...config }, { log: pino({ level: 'silent' }), ...overrides })
}
