import { expect, test } from 'vitest'
import { Person } from './support/person.ts'
import { useGateway } from './support/suite.ts'
import { until } from './support/wait.ts'

const { gateway } = useGateway()

async function liveStream(person: Person, query = '') {
  const stream = await person.stream(query)
  await stream.waitForFrame('heartbeat')
  return stream
}

test('whoever comes is online for others within a second', async () => {
  const [alice, bob] = [await Person.signUp(gateway.url), await Person.signUp(gateway.url)]
  await alice.direct(bob)
  using stream = await liveStream(alice)
  const began = performance.now()
  using _ = await liveStream(bob)
  const [event] = await until('the change', () => stream.passing().length > 0 && stream.passing())
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(event).toMatchObject({ id: null, type: 'presence.changed', user_id: bob.id, status: 'online' })
})
