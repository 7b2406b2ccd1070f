import { expect, test } from 'vitest'
import { ADMIN_TOKEN } from './support/back-end.ts'
import { call } from './support/person.ts'
import { useGateway } from './support/suite.ts'

const { gateway } = useGateway({ adminToken: ADMIN_TOKEN })

type Operation = {
  parameters?: { name: string; in: string }[]
  responses: Record<string, unknown>
  security: unknown[]
}
type Document = {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: object }
}

test('the OpenAPI document and the router know the same operations', async () => {
  const { body } = await call<Document>(gateway.url, 'GET', '/openapi.json')
  expect(body.openapi).toBe('3.1.0')
  const operations = Object.entries(body.paths).flatMap(([path, item]) =>
    Object.entries(item).map((each) => [path, ...each] as const),
  )
  expect(operations.length).toBeGreaterThan(20)
  for (const [path, method, { security }] of operations) {
    const concrete = path.replaceAll(/\{\w+\}/g, '1')
    const answer = await call<{ code: string }>(gateway.url, method.toUpperCase(), concrete)
    if (security.length > 0)
      expect([path, method, answer.body.code]).toEqual([path, method, 'unauthenticated'])
    else expect([path, method, [200, 422].includes(answer.status)]).toEqual([path, method, true])
  }
})

test('every reference in it leads somewhere, and every path parameter is declared', async () => {
  const { text, body } = await call<Document>(gateway.url, 'GET', '/openapi.json')
  for (const [, name = ''] of text.matchAll(/"\$ref": "#\/components\/schemas\/(\w+)"/g)) {
    expect(Object.keys(body.components.schemas)).toContain(name)
  }
  for (const [path, item] of Object.entries(body.paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    for (const { parameters = [] } of Object.values(item)) {
      expect(parameters.filter((each) => each.in === 'path').map((each) => each.name)).toEqual(named)
    }
  }
})

test('the documents are served', async () => {
  for (const path of ['/docs', '/docs/problems', '/']) {
    const answer = await call(gateway.url, 'GET', path)
    expect([path, answer.status, answer.headers.get('content-type')]).toEqual([
      path,
      200,
      'text/html; charset=utf-8',
    ])
  }
})
