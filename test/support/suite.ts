import { afterAll, beforeAll } from 'vitest'
import type { Gateway } from '../../src/app.ts'
import { type Settings, startGateway } from './gateway.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'

/** A Postgres and a gateway over it for a whole suite, there from `beforeAll` on: `url` says where each listens. */
export function useGateway(config: Settings = {}): {
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

/** Another node over the suite's Postgres; to be called behind `useGateway`, so that it starts after it and ends before. */
export function useOtherGateway(
  postgres: { readonly url: string },
  config: Settings = {},
): { readonly url: string } {
  let gateway: Gateway
  beforeAll(async () => {
    gateway = await startGateway(postgres.url, config)
  })
  afterAll(() => gateway?.[Symbol.asyncDispose]())
  return {
    get url() {
      return gateway.url
    },
  }
}
