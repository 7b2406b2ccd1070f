import { createHash, randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { PushOutcome } from '../src/push/push.ts'
import { PushStore } from '../src/store/pushes.ts'
import { type Person, vapidKeyOf } from './support/person.ts'
import { acknowledge, usePush } from './support/push.ts'
import type { Sent } from './support/push-recorder.ts'
import { until } from './support/wait.ts'

const push = usePush()
const { pair, subscribe, marker } = push
const node = push.useNode()
const { recorder } = node

const HOUR_MS = 3_600_000
const accepted: PushOutcome = { type: 'accepted' }
const retry = (afterMs?: number): PushOutcome => ({ type: 'retry', afterMs, reason: '503' })
const previews = (sent: Sent[]) => sent.map(({ payload }) => payload.preview)
const to = (device: Person) =>
  recorder.to(device).filter(({ target }) => target.device_id === device.session.device_id)
const rowsOf = (person: Person) =>
  push.database.sql<{ later: boolean; rung: string[]; from_seq: number }[]>`
    SELECT due_at > now() + interval '1 minute' AS later, rung, from_seq FROM pushes WHERE user_id = ${person.id}`

/** Somebody has seen all there is, and looks no longer. */
async function seeAll(device: Person): Promise<void> {
  await acknowledge(device, true)
  await acknowledge(device, false)
}

describe('what waits behind a push that is to be tried again', () => {
  const ends = {
    read: (bob: Person, group: string) => bob.call('PUT', `/v1/conversations/${group}/read`, { seq: 1 }),
    muted: (bob: Person, group: string) => bob.call('PATCH', `/v1/conversations/${group}`, { muted: true }),
    left: (bob: Person, group: string) => bob.call('DELETE', `/v1/conversations/${group}/members/${bob.id}`),
  }
  test.each(Object.entries(ends))('goes at once when that was %s', async (_, end) => {
    const { alice, bob } = await pair(node.url)
    const [group, other] = [await alice.group([bob]), await alice.group([bob])]
    let failures = 1
    recorder.answer = ({ target }) =>
      target.user_id === bob.id && failures-- > 0 ? retry(HOUR_MS) : accepted
    await alice.send(group, 'one')
    await recorder.waitFor(bob)
    await alice.send(other, 'two')
    await until('both to wait', async () => (await rowsOf(bob)).filter(({ later }) => later).length === 2)
    await end(bob, group)
    expect(previews(await recorder.waitFor(bob, 2, 5_000))).toEqual(['one', 'two'])
  })

  test('does not wait on a device that has it by now, though another one has not', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const tablet = await bob.anotherDevice()
    await subscribe(tablet, { host: 'tablet.example' })
    let failures = 1
    recorder.answer = ({ target }) => {
      if (target.device_id === tablet.session.device_id) return retry(HOUR_MS)
      return failures-- > 0 ? retry() : accepted
    }
    await alice.send(conversation, 'one')
    await until('the phone to have it', async () => {
      const [row] = await rowsOf(bob)
      return row?.rung.length === 1 && row.later
    })
    await alice.send(await alice.group([bob]), 'two')
    await until('the next one', () => to(bob).length === 3, 5_000)
    expect(previews(to(bob))).toEqual(['one', 'one', 'two'])
  })
})

test('many conversations that are due at once go in the order of their messages', async () => {
  const { alice, bob } = await pair(node.url)
  const groups = await Promise.all(Array.from({ length: 25 }, () => alice.group([bob])))
  const messages = groups.map((conversation_id, n) => ({ conversation_id, text: `${n}`, client_id: `${n}` }))
  for (const part of [messages.slice(0, 20), messages.slice(20)])
    await alice.call('POST', '/v1/messages', { messages: part })
  expect(previews(await recorder.waitFor(bob, 25))).toEqual(messages.map(({ text }) => text))
})

test('who stops looking is rung in the order of the messages, and soon', async () => {
  const { alice, bob, conversation } = await pair(node.url)
  const laptop = await bob.anotherDevice()
  await acknowledge(laptop, true)
  await alice.send(conversation, 'one')
  await marker(node)
  await acknowledge(laptop, false)
  await alice.send(await alice.group([bob]), 'two')
  expect(previews(await recorder.waitFor(bob, 2, 5_000))).toEqual(['one', 'two'])
})

describe('of several messages within the grace time', () => {
  test('one between one that was seen and one that was deleted rings', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    await alice.send(conversation, 'one')
    await seeAll(await bob.anotherDevice())
    await alice.send(conversation, 'two')
    await alice.send(conversation, 'three')
    await alice.call('DELETE', `/v1/conversations/${conversation}/messages/3`)
    expect(previews(await recorder.waitFor(bob))).toEqual(['two'])
  })

  test('what was seen by a device that signs out does not ring the others', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const laptop = await bob.anotherDevice()
    await alice.send(conversation, 'one')
    await acknowledge(laptop, true)
    await laptop.call('DELETE', '/v1/sessions/current')
    for (let n = 0; n < 2; n += 1) await marker(node)
    expect(recorder.to(bob)).toEqual([])
  })

  test('what one node planned is not forgotten, as another one had planned a newer one already', async () => {
    const { bob, conversation } = await pair(node.url)
    const store = new PushStore(push.database, { vapidPublicKey: await vapidKeyOf(node.url), shownMs: 0 })
    const common = { user_id: bob.id, about: conversation, is_announcement: false, due_ms: 60_000 }
    await store.plan([{ ...common, from_seq: 2, seq: 2, inbox_id: 3 }])
    await store.plan([{ ...common, from_seq: 1, seq: 1, inbox_id: 2 }])
    await store.close()
    expect(await rowsOf(bob)).toMatchObject([{ from_seq: 1 }])
  })
})

describe('a browser that subscribes', () => {
  test('within the grace time is rung', async () => {
    const { url, recorder } = await push.start({ push: { graceMs: 2_000 } })
    const { alice, bob, conversation } = await pair(url)
    await push.unsubscribe(bob)
    await alice.send(conversation, 'hello')
    expect(await subscribeByRequest(bob)).toBe(204)
    expect(previews(await recorder.waitFor(bob))).toEqual(['hello'])
  })

  test('after another one was rung is rung by the next message, which rings that one not', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    await alice.send(conversation, 'one')
    await recorder.waitFor(bob)
    await until('it to be done', async () => (await rowsOf(bob))[0]?.rung.length === 1)
    const tablet = await bob.anotherDevice()
    await subscribe(tablet)
    await alice.send(conversation, 'two')
    await until('the tablet to be rung', () => to(tablet).length === 1)
    await alice.send(conversation, 'three')
    for (let n = 0; n < 2; n += 1) await marker(node)
    expect([previews(to(bob)), previews(to(tablet))]).toEqual([['one'], ['two']])
  })

  test('anew while a push to the former is refused gets that push', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const endpoint = `https://push.example/${randomUUID()}`
    recorder.answer = async ({ target }) => {
      if (target.user_id !== bob.id || target.endpoint === endpoint) return accepted
      // As PUT does it.
      const hash = createHash('sha256').update(endpoint).digest()
      await push.database.sql`
        UPDATE push_subscriptions SET endpoint = ${endpoint}, endpoint_hash = ${hash} WHERE user_id = ${bob.id}`
      return { type: 'gone' }
    }
    await alice.send(conversation, 'one')
    const [, second] = await recorder.waitFor(bob, 2)
    expect(second?.target.endpoint).toBe(endpoint)
  })
})

/** By the API, so that the gateway knows at once. Answers the status. */
async function subscribeByRequest(person: Person): Promise<number> {
  const keys = {
    p256dh: 'BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM',
    auth: 'tBHItJI5svbpez7KI4CCXg',
  }
  const subscription = { endpoint: `https://93.184.216.34/${randomUUID()}`, keys }
  return (await person.call('PUT', '/v1/devices/current/push-subscription', subscription)).status
}
