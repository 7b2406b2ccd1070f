import { pino } from 'pino'
import { type Gateway, type Overrides, start } from '../../src/app.ts'
import { type Config, loadConfig, type PushConfig } from '../../src/config.ts'

/** What differs from the defaults. */
export type Settings = Partial<Omit<Config, 'push'>> & { push?: Partial<PushConfig> }

/** A gateway in this process on a free port, with no rate limits and no log. */
export function startGateway(
  databaseUrl: string,
  { push, ...config }: Settings = {},
  overrides: Overrides = {},
): Promise<Gateway> {
  const defaults = loadConfig({ DATABASE_URL: databaseUrl, PORT: '0', RATE_LIMITS: 'off' })
  return start(
    { ...defaults, ...config, push: { ...defaults.push, ...push } },
    { log: pino({ level: 'silent' }), ...overrides },
  )
}
