import { afterAll, beforeAll } from 'vitest'
import type { Gateway } from '../../src/app.ts'
import type { Config } from '../../src/config.ts'
import { startGateway } from './gateway.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'

/** A Postgres and a gateway over it for a whole suite, there from `beforeAll` on: `url` says where each listens. */
export function useGateway(config: Partial<Config> = {}): {
  postgres: { readonly url: string }
  gateway: { readonly url: string }
} {
  let postgres: TestPostgres
  let gateway: Gateway
  beforeAll(async () => {
    postgres = await startPostgres()
    gateway = await startGateway(postgres.url, config)
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
    await postgres?.[Symbol.asyncDispose]()
  })
  return {
    postgres: {
      get url() {
        return postgres.url
      },
    },
    gateway: {
      get url() {
        return gateway.url
      },
    },
  }
}
