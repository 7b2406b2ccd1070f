import { expect, test } from 'vitest'
import { useGateway } from './support/suite.ts'

type Operations = Record<string, Record<string, { responses: Record<string, { description: string }> }>>

const { gateway } = useGateway()

test('names the problems that stand around every endpoint', async () => {
  const { paths } = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as { paths: Operations }
  const said = (path: string, method: string, status: number) =>
    paths[path]?.[method]?.responses[status]?.description ?? ''
  expect(said('/v1/users/me', 'patch', 429)).toContain('rate_limited')
  expect(said('/v1/users/me', 'patch', 403)).toContain('origin_refused')
  expect(said('/v1/users/me', 'get', 401)).toContain('signed_out')
  expect(said('/v1/conversations', 'get', 422)).toContain('validation_failed')
  expect(said('/v1/conversations', 'post', 422)).toContain('idempotency_mismatch')
  expect(said('/v1/events', 'get', 503)).toContain('unavailable')
})
