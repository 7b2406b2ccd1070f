import { connect } from 'nats'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Gateway } from '../src/app.ts'
import { loadConfig } from '../src/config.ts'
import { startGateway } from './support/gateway.ts'
import { NatsServer } from './support/nats-server.ts'
import { Person } from './support/person.ts'
import { startPostgres, type TestPostgres } from './support/postgres.ts'
import { until } from './support/wait.ts'
import { startTwoWorkers, streamElsewhere } from './support/workers.ts'

let postgres: TestPostgres
let nats: NatsServer
let one: Gateway
let other: Gateway

beforeAll(async () => {
  postgres = await startPostgres()
  nats = await NatsServer.start()
  const config = { nats: loadConfig({ NATS_URL: nats.url() }).nats }
  one = await startGateway(postgres.url, config)
  other = await startGateway(postgres.url, config)
})

afterAll(async () => {
  for (const each of [other, one, nats, postgres]) await each?.[Symbol.asyncDispose]()
})

async function live(person: Person) {
  const stream = await person.stream('after=0')
  await until('a live stream', () => stream.events.length > 0)
  return stream
}

const type = (person: Person, chat: string) => person.call('POST', `/v1/conversations/${chat}/typing`)

test('over NATS few are told on their own subjects, many in one piece; both once', {
  timeout: 60_000,
}, async () => {
  const alice = await Person.signUp(one.url)
  const hearers: Person[] = []
  while (hearers.length < 20) hearers.push(await Person.signUp(other.url))
  const [bob, carol] = hearers
  if (!bob || !carol) throw new Error('nobody')
  const chat = await alice.direct(bob)
  const group = await alice.group(hearers)
  const observer = await connect({ servers: nats.url() })
  const subjects: string[] = []
  observer.subscribe('>', {
    callback: (_, { subject, data }) => {
      if (Buffer.from(data).includes('"typing"')) subjects.push(subject)
    },
  })
  await observer.flush()
  using his = await live(bob)
  using hers = await live(carol)
  await type(alice, chat)
  await type(alice, group)
  await until('both', () => his.passing('typing').length === 2 && hers.passing('typing').length === 1)
  expect(his.passing('typing').map((event) => event.conversation_id)).toEqual([chat, group])
  await until('both subjects', () => subjects.length === 2)
  expect(subjects).toEqual([`inbox.${bob.id}`, 'longwave.passing'])
  await bob.call('PUT', `/v1/conversations/${chat}/read`, { seq: 0 })
  const { body: message } = await alice.send(chat, 'hello')
  using mine = await live(alice)
  await bob.call('PUT', `/v1/conversations/${chat}/read`, { seq: message.seq })
  const mark = await until('his mark', () => mine.passing('receipt.read')[0])
  expect(mark).toMatchObject({ conversation_id: chat, user_id: bob.id, seq: message.seq })
  await observer.close()
})

test('P6 what passes in another deployment over the same NATS servers is not heard', async () => {
  const [alice, bob] = [await Person.signUp(one.url), await Person.signUp(other.url)]
  const chat = await alice.direct(bob)
  using his = await live(bob)
  const foreign = await connect({ servers: nats.url() })
  const event = { id: null, type: 'typing', at: new Date(), conversation_id: chat, user_id: 'mallory' }
  for (const piece of [
    { deployment: 'another', recipients: [bob.id], event },
    { event },
    event,
    'nothing',
    null,
  ]) {
    for (const subject of [`inbox.${bob.id}`, 'longwave.passing']) {
      foreign.publish(subject, JSON.stringify(piece))
    }
  }
  for (const text of ['', '{', '[{"watchers":5}]', `[{"user_id":"mallory","watchers":["${bob.id}"]}]`]) {
    foreign.publish('longwave.presence.another', text)
  }
  await foreign.flush()
  await foreign.close()
  await type(alice, chat)
  await until('her typing', () => his.passing('typing').length > 0)
  expect(his.passing().filter(({ user_id }) => user_id !== alice.id)).toEqual([])
})

test('two nodes that are asked in turn tell no more often than one', async () => {
  const [alice, bob] = [await Person.signUp(one.url), await Person.signUp(other.url)]
  const chat = await alice.direct(bob)
  using his = await live(bob)
  for (let n = 0; n < 4; n += 1) await type(alice.at((n % 2 ? one : other).url), chat)
  await alice.at(one.url).send(chat, 'over the one')
  await alice.at(other.url).send(chat, 'over the other')
  await his.waitForTexts(2)
  expect(his.passing('typing')).toHaveLength(1)
})

test('workers tell each other too', { timeout: 60_000 }, async () => {
  const { url } = await startTwoWorkers({ DATABASE_URL: postgres.url })
  const [alice, bob] = [await Person.signUp(url), await Person.signUp(url)]
  const chat = await alice.direct(bob)
  const here = await streamElsewhere(bob)
  const there = await streamElsewhere(bob, here.node)
  using first = here.stream
  using second = there.stream
  await alice.send(chat, 'so that both streams are known to be live')
  for (const stream of [first, second]) await stream.waitForTexts(1)
  await type(alice, chat)
  await until('typing on both', () =>
    [first, second].every((stream) => stream.passing('typing').length === 1),
  )
})
