import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { NatsServer } from './support/nats-server.ts'
import { Person } from './support/person.ts'
import { acknowledge, GRACE_MS, LEASE_MS, usePush } from './support/push.ts'
import { newReceiver } from './support/push-crypto.ts'
import { until } from './support/wait.ts'

const push = usePush()
const { pair, marker } = push

/** A device of theirs beside the one that is rung, at that node. */
async function laptopOf(person: Person, url = person.base): Promise<Person> {
  return (await person.anotherDevice()).at(url)
}

describe('a device that sends leases', () => {
  const node = push.useNode()

  test('with somebody before it puts the push off until it has received the message: then there is none', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const laptop = await laptopOf(bob)
    await acknowledge(laptop, true)
    await alice.send(conversation, 'hello')
    await marker(node)
    expect(node.recorder.to(bob)).toEqual([])
    await acknowledge(laptop, true)
    // Whoever looks away then has seen it nevertheless.
    await acknowledge(laptop, false)
    await marker(node)
    await marker(node)
    expect(node.recorder.to(bob)).toEqual([])
  })

  test('that is closed behind a proxy rings the phone when its lease ends', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    await acknowledge(await laptopOf(bob), true)
    const began = performance.now()
    await alice.send(conversation, 'hello')
    const [sent] = await node.recorder.waitFor(bob)
    expect((sent?.at ?? 0) - began).toBeGreaterThan(LEASE_MS - 500)
  })

  test('whose tab is idle does not keep the phone from ringing, even if it has received the message', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const laptop = await laptopOf(bob)
    await acknowledge(laptop, true)
    await acknowledge(laptop, false)
    const began = performance.now()
    await alice.send(conversation, 'hello')
    await acknowledge(laptop, false)
    const [sent] = await node.recorder.waitFor(bob)
    expect((sent?.at ?? 0) - began).toBeGreaterThan(GRACE_MS - 50)
  })
})

describe.each([true, false])('a device that never sends a lease, presence shown: %s', (presence) => {
  test('is there by its open stream and a lease more, on any node', async () => {
    const node = await push.start({ presence })
    const other = await push.start({ presence }, node.recorder)
    const { alice, bob, conversation } = await pair(node.url)
    const curl = await laptopOf(bob, other.url)
    const stream = await curl.stream()
    onTestFinished(() => stream[Symbol.dispose]())
    await stream.waitForFrame('heartbeat')
    await until('it to be written down', async () => {
      const [row] = await push.database.sql<{ there: boolean }[]>`
        SELECT there_until > now() AS there FROM devices WHERE user_id = ${bob.id} AND id = ${curl.session.device_id}`
      return row?.there
    })
    await alice.send(conversation, 'hello')
    await marker(node)
    expect(node.recorder.to(bob)).toEqual([])
    const closed = performance.now()
    stream[Symbol.dispose]()
    const [sent] = await node.recorder.waitFor(bob)
    expect((sent?.at ?? 0) - closed).toBeGreaterThan(LEASE_MS / 2)
  })

  test('has received what it asked behind in a poll', async () => {
    const node = await push.start({ presence })
    const { alice, bob, conversation } = await pair(node.url)
    const reader = await laptopOf(bob)
    await alice.send(conversation, 'hello')
    const { cursor } = await reader.readAll()
    await reader.poll(`wait=0&after=${cursor}`)
    await marker(node)
    await until('its stay to be over', async () => {
      const [row] = await push.database.sql<{ there: boolean }[]>`
        SELECT coalesce(max(there_until), '-infinity') > now() AS there FROM devices WHERE user_id = ${bob.id}`
      return row?.there === false
    })
    await marker(node)
    expect(node.recorder.to(bob)).toEqual([])
  })
})

test('whoever subscribes is there by a stream that was open before, on any node', async () => {
  await using nats = await NatsServer.start()
  const settings = { nats: { servers: [`127.0.0.1:${nats.port}`] }, push: { allowPrivate: true } }
  const node = await push.start(settings)
  const other = await push.start(settings, node.recorder)
  const alice = await Person.signUp(node.url)
  const people = await Promise.all([node, other].map(() => Person.signUp(node.url)))
  for (const [index, { url }] of [node, other].entries()) {
    const person = people[index] ?? alice
    const stream = await (await laptopOf(person, url)).stream()
    onTestFinished(() => stream[Symbol.dispose]())
    await until('it to be written down', async () => {
      const rows = await push.database.sql`SELECT 1 FROM presence WHERE user_id = ${person.id}`
      return rows.length > 0
    })
    const { pair, auth } = newReceiver(randomBytes(16))
    const keys = { p256dh: pair.getPublicKey('base64url'), auth: auth.toString('base64url') }
    const subscription = { endpoint: `https://127.0.0.1/${randomUUID()}`, keys }
    const answer = await person.call('PUT', '/v1/devices/current/push-subscription', subscription)
    expect(answer.status).toBe(204)
    await alice.send(await alice.direct(person), 'hello')
  }
  await marker(node)
  expect(people.flatMap((person) => node.recorder.to(person))).toEqual([])
})
