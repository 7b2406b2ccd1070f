import postgresClient from 'postgres'
import { expect, test } from 'vitest'
import { ADMIN_TOKEN, BackEnd } from './support/back-end.ts'
import { startGateway } from './support/gateway.ts'
import { HeldTransaction, waitingBackends } from './support/held-transaction.ts'
import { AUDIENCE, ISSUER, TestProvider } from './support/identity-provider.ts'
import { type Answer, call } from './support/person.ts'
import { expectProblem } from './support/problem.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { postgres, gateway } = useGateway({ adminToken: ADMIN_TOKEN })

/** What `ask` is answered if its user is erased after it was found to be good, and how many devices are left. */
async function duringErasure(
  user: string,
  ask: () => Promise<Answer>,
): Promise<{ answer: Answer; devices: number }> {
  await using erasing = new HeldTransaction(postgres.url, async (tx) => {
    await tx`SELECT 1 FROM users WHERE id = ${user} FOR UPDATE`
    await tx`UPDATE users SET erased_at = now() WHERE id = ${user}`
  })
  await erasing.held
  const sql = postgresClient(postgres.url, { max: 1 })
  const answering = ask()
  const early = answering.then(() => true)
  await until('it waits', async () => (await waitingBackends(sql)) > 0 || Promise.race([early, false]))
  await erasing.commit()
  const answer = await answering
  const rows = await sql`SELECT 1 FROM devices WHERE user_id = ${user}`
  await sql.end()
  return { answer, devices: rows.length }
}

test('P6 nobody signs in as a user who is being erased', async () => {
  const backEnd = new BackEnd(gateway.url)
  const account = { username: 'racer', password: 'correct horse' }
  await backEnd.call('POST', '/users', { id: 'racer', display_name: 'Racer', ...account })
  const signIn = await duringErasure('racer', () =>
    call(gateway.url, 'POST', '/v1/sessions', { body: account }),
  )
  expectProblem(signIn.answer, 401, 'bad_credentials')
  expect(signIn.devices).toBe(0)
  await backEnd.call('POST', '/users', { id: 'guest', display_name: 'Guest' })
  const given = await duringErasure('guest', () => backEnd.call('POST', '/users/guest/sessions'))
  expectProblem(given.answer, 404, 'not_found')
  expect(given.devices).toBe(0)
})

test('P6 nor by a token of the identity provider', async () => {
  await using provider = await TestProvider.start()
  const key = { jwksUrl: provider.url }
  await using node = await startGateway(postgres.url, {
    provider: { issuer: ISSUER, audience: AUDIENCE, key },
  })
  await new BackEnd(gateway.url).call('POST', '/users', { id: 'known', display_name: 'Known' })
  const headers = { authorization: `Bearer ${await provider.token({ sub: 'known' })}` }
  const { answer, devices } = await duringErasure('known', () =>
    call(node.url, 'GET', '/v1/users/me', { headers }),
  )
  expectProblem(answer, 401, 'token_invalid')
  expect(devices).toBe(0)
})
