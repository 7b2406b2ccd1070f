import { describe, expect, test } from 'vitest'
import { Housekeeping } from '../src/store/housekeeping.ts'
import { ADMIN_TOKEN, BackEnd } from './support/back-end.ts'
import { Person } from './support/person.ts'
import { usePush } from './support/push.ts'
import { PushRecorder } from './support/push-recorder.ts'
import { until } from './support/wait.ts'

const push = usePush()
const { subscribe, pair, marker } = push
const node = push.useNode({ adminToken: ADMIN_TOKEN })

const mute = (person: Person, conversation: string) =>
  person.call('PATCH', `/v1/conversations/${conversation}`, { muted: true })
const read = (person: Person, conversation: string, seq: number) =>
  person.call('PUT', `/v1/conversations/${conversation}/read`, { seq })

describe('an unread episode', () => {
  test('rings once, with what there is then, until it was read', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const both = ['one', 'two'].map((text) => ({ conversation_id: conversation, text, client_id: text }))
    await alice.call('POST', '/v1/messages', { messages: both })
    const [sent] = await node.recorder.waitFor(bob)
    const name = alice.session.user.display_name
    expect(sent?.payload).toEqual({
      ...{ type: 'message', conversation_id: conversation, title: name, sender: name, preview: 'two' },
      ...{ unread_count: 2, mention_count: 0 },
    })
    expect(sent?.options).toMatchObject({ urgency: 'high', topic: expect.stringMatching(/^[\w-]{22}$/) })
    expect(sent?.options.ttlSeconds).toBeGreaterThan(86_000)
    await alice.send(conversation, 'three')
    await marker(node)
    expect(node.recorder.to(bob)).toHaveLength(1)
    expect(node.recorder.to(alice)).toEqual([])
    await read(bob, conversation, 3)
    await alice.send(conversation, 'four')
    const [, again] = await node.recorder.waitFor(bob, 2)
    expect(again?.payload).toMatchObject({ preview: 'four', unread_count: 1 })
  })

  test('is one for each conversation, on each device that wants it, in the order of the messages', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const phone = await bob.anotherDevice()
    await subscribe(phone)
    const group = await alice.group([bob], { title: 'Harbour' })
    await alice.send(conversation, 'directly')
    await alice.send(group, `hello @${bob.session.user.username}`)
    const sent = await node.recorder.waitFor(bob, 4)
    for (const device of [bob, phone]) {
      const got = sent.filter(({ target }) => target.device_id === device.session.device_id)
      expect(got.map(({ payload }) => payload.conversation_id)).toEqual([conversation, group])
    }
    expect(sent.find(({ payload }) => payload.conversation_id === group)).toMatchObject({
      payload: { title: 'Harbour', sender: alice.session.user.display_name, mention_count: 1 },
      options: { urgency: 'high' },
    })
  })

  test('ends on another device: browsers that allow it take the notification back, unseen', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const phone = await bob.anotherDevice()
    await subscribe(phone, { silent: true })
    await alice.send(conversation, 'hello')
    const [rung] = await node.recorder.waitFor(bob, 2)
    await read(bob, conversation, 1)
    const [, , withdrawn] = await node.recorder.waitFor(bob, 3)
    expect(withdrawn).toMatchObject({
      target: { device_id: phone.session.device_id },
      payload: { type: 'read', conversation_id: conversation, preview: null, unread_count: 0 },
      options: { topic: rung?.options.topic, urgency: 'low' },
    })
    await alice.send(conversation, 'again')
    await node.recorder.waitFor(bob, 5)
  })
})

test('a browser that was not there for a day is not told to take anything back', async () => {
  const { alice, bob, conversation } = await pair(node.url)
  const phone = await bob.anotherDevice()
  await subscribe(phone, { silent: true })
  await push.database.sql`
    UPDATE devices SET last_seen_at = now() - interval '25 hours' WHERE user_id = ${bob.id} AND id = ${phone.session.device_id}`
  await alice.send(conversation, 'hello')
  await node.recorder.waitFor(bob, 2)
  await read(bob, conversation, 1)
  await until('nothing to be left', async () => {
    const rows = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id}`
    return rows.length === 0
  })
  expect(node.recorder.to(bob)).toHaveLength(2)
})

test('what comes while a push is under way that is read meanwhile rings anew', async () => {
  const { alice, bob, conversation } = await pair(node.url)
  const phone = await bob.anotherDevice()
  await subscribe(phone, { silent: true })
  let isHeld = true
  node.recorder.answer = async () => {
    await until('the reading', () => !isHeld)
    return { type: 'accepted' }
  }
  await alice.send(conversation, 'hello')
  await node.recorder.waitFor(bob, 2)
  await read(bob, conversation, 1)
  await alice.send(conversation, 'again')
  await until('its decision', async () => {
    const [row] = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id} AND seq = 2`
    return row !== undefined
  })
  isHeld = false
  const [, , ...rest] = await node.recorder.waitFor(bob, 4)
  expect(rest.map(({ payload }) => payload.preview)).toEqual(['again', 'again'])
  await read(bob, conversation, 2)
  const [withdrawn] = (await node.recorder.waitFor(bob, 5)).slice(4)
  expect(withdrawn?.payload.type).toBe('read')
  expect(withdrawn?.target.device_id).toBe(phone.session.device_id)
})

test('what is read while it is being sent is taken back', async () => {
  const { alice, bob, conversation } = await pair(node.url)
  await push.unsubscribe(bob)
  await subscribe(bob, { silent: true })
  let isHeld = true
  node.recorder.answer = async () => {
    await until('the reading', () => !isHeld)
    return { type: 'accepted' }
  }
  await alice.send(conversation, 'hello')
  await node.recorder.waitFor(bob)
  await read(bob, conversation, 1)
  isHeld = false
  const [, withdrawn] = await node.recorder.waitFor(bob, 2)
  expect(withdrawn?.payload.type).toBe('read')
  await until('nothing to be left', async () => {
    const rows = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${bob.id}`
    return rows.length === 0
  })
  expect(node.recorder.to(bob)).toHaveLength(2)
})

test('of a conversation that somebody left after it rang nothing is kept', async () => {
  const { alice, bob, conversation } = await pair(node.url)
  const group = await alice.group([bob])
  for (const id of [conversation, group]) await alice.send(id, 'hello')
  await node.recorder.waitFor(bob, 2)
  const kept = async () => {
    const rows = await push.database.sql<{ about: string }[]>`
      SELECT about FROM pushes WHERE user_id = ${bob.id} AND due_at IS NULL ORDER BY about = ${group}`
    return rows.map(({ about }) => about)
  }
  await until('both to be settled', async () => (await kept()).length === 2)
  await bob.call('DELETE', `/v1/conversations/${group}/members/${bob.id}`)
  using housekeeping = new Housekeeping(push.database, 30, () => {})
  await housekeeping.run()
  expect(await kept()).toEqual([conversation])
})

describe('nobody is rung', () => {
  /** A node that leaves time for all that is to be done in time. */
  const patient = () => push.start({ push: { graceMs: 2_000 } }, node.recorder)

  test('for what they read in time, muted, deleted, said themselves, left, or what somebody they block says', async () => {
    const there = await patient()
    const { alice, bob } = await pair(there.url)
    await subscribe(alice)
    const group = () => alice.group([bob])
    const [readOne, muted, deleted, left, blocked] = await Promise.all([1, 2, 3, 4, 5].map(group))
    await mute(bob, muted ?? '')
    const mention = `@${bob.session.user.username}`
    for (const one of [readOne, muted, deleted, left]) await alice.send(one ?? '', `hello ${mention}`)
    await read(bob, readOne ?? '', 1)
    await alice.call('DELETE', `/v1/conversations/${deleted}/messages/1`)
    await bob.call('DELETE', `/v1/conversations/${left}/members/${bob.id}`)
    await bob.call('PUT', `/v1/users/me/blocks/${alice.id}`)
    await alice.send(blocked ?? '', 'hello')
    await marker(there)
    expect(node.recorder.to(bob)).toEqual([])
    expect(node.recorder.to(alice)).toEqual([])
  })

  test('by what the system says', async () => {
    const { alice, bob } = await pair(node.url)
    const group = await alice.group([bob], { system_messages: true })
    await alice.call('PATCH', `/v1/conversations/${group}`, { title: 'Another' })
    await marker(node)
    expect(node.recorder.to(bob)).toEqual([])
  })

  test('once they have unsubscribed, or signed the device out', async () => {
    const there = await patient()
    const [one, other] = [await pair(there.url), await pair(there.url)]
    await one.alice.send(one.conversation, 'hello')
    await other.alice.send(other.conversation, 'hello')
    await push.unsubscribe(one.bob)
    await other.bob.call('DELETE', '/v1/sessions/current')
    await marker(there)
    expect([...node.recorder.to(one.bob), ...node.recorder.to(other.bob)]).toEqual([])
  })
})

describe('a deployment', () => {
  test('wakes by several in one go, and nobody where nobody wants to be woken', async () => {
    const { alice, bob } = await pair(node.url)
    const carol = await Person.signUp(node.url)
    const messages = [{ to: [bob.id, carol.id], text: 'both', client_id: 'both' }]
    const answer = await alice.call('POST', '/v1/messages', { messages })
    expect(answer.status).toBe(200)
    await node.recorder.waitFor(bob)
    const rows = await push.database.sql`SELECT 1 FROM pushes WHERE user_id = ${carol.id}`
    expect(rows).toEqual([])
  })
})

test('an announcement wakes everybody who wants it, once; not who received it', async () => {
  const backEnd = new BackEnd(node.url)
  const [one, other] = [await pair(node.url), await pair(node.url)]
  await backEnd.call('POST', '/broadcasts', { text: 'Down at noon' })
  await until('the announcement', async () =>
    (await other.bob.readAll()).events.some((e) => e.type === 'announcement'),
  )
  const { cursor } = await other.bob.readAll()
  await other.bob.poll(`wait=0&after=${cursor}`)
  const [sent] = await node.recorder.waitFor(one.bob)
  expect(sent?.payload).toEqual({
    ...{ type: 'announcement', conversation_id: null, title: 'Announcement', sender: null },
    ...{ preview: 'Down at noon', unread_count: 0, mention_count: 0 },
  })
  await marker(node)
  expect(node.recorder.to(one.bob)).toHaveLength(1)
  expect(node.recorder.to(other.bob)).toEqual([])
})

describe('a push service', () => {
  test('that is away is tried again for its devices alone; of those that took it none rings twice', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const phone = await bob.anotherDevice()
    await subscribe(phone, { host: 'away.example' })
    let failures = 2
    node.recorder.answer = ({ target }) =>
      target.endpoint.includes('away') && failures-- > 0
        ? { type: 'retry', afterMs: undefined, reason: '503' }
        : { type: 'accepted' }
    await alice.send(conversation, 'hello')
    const sent = await node.recorder.waitFor(bob, 4)
    const times = sent.filter(({ target }) => target.endpoint.includes('away')).map(({ at }) => at)
    expect(times).toHaveLength(3)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(600)
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThan(1_200)
  })

  test('says when to come again, and nobody comes sooner, though another device is tried meanwhile', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    await subscribe(await bob.anotherDevice(), { host: 'busy.example' })
    const answers = new Map<string, number>()
    node.recorder.answer = ({ target }) => {
      const { host } = new URL(target.endpoint)
      const count = (answers.get(host) ?? 0) + 1
      answers.set(host, count)
      if (count > 1) return { type: 'accepted' }
      return { type: 'retry', afterMs: host === 'busy.example' ? 2_000 : 100, reason: '429' }
    }
    await alice.send(conversation, 'hello')
    const sent = await node.recorder.waitFor(bob, 4)
    const busy = sent.filter(({ target }) => target.endpoint.includes('busy')).map(({ at }) => at)
    expect((busy[1] ?? 0) - (busy[0] ?? 0)).toBeGreaterThan(1_900)
  })

  test('that is to be asked again gets what came first before what came meanwhile, as others have it already', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    const group = await alice.group([bob])
    const tablet = await bob.anotherDevice()
    await subscribe(tablet, { host: 'other.example' })
    let hasFailed = false
    node.recorder.answer = ({ target }) => {
      if (hasFailed || target.endpoint.includes('other')) return { type: 'accepted' }
      hasFailed = true
      return { type: 'retry', afterMs: 2_500, reason: '503' }
    }
    await alice.send(conversation, 'one')
    await node.recorder.waitFor(bob, 2)
    await alice.send(group, 'two')
    const sent = await node.recorder.waitFor(bob, 5)
    const to = (device: Person) =>
      sent
        .filter(({ target }) => target.device_id === device.session.device_id)
        .map(({ payload }) => payload.preview)
    expect(to(bob)).toEqual(['one', 'one', 'two'])
    expect(to(tablet)).toEqual(['one', 'two'])
  })

  test('that has no such subscription any more ends it', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    node.recorder.answer = () => ({ type: 'gone' })
    await alice.send(conversation, 'hello')
    await node.recorder.waitFor(bob)
    await until('the end', async () => {
      const rows = await push.database.sql`SELECT 1 FROM push_subscriptions WHERE user_id = ${bob.id}`
      return rows.length === 0
    })
  })

  test('that finds a push too large gets a shorter one, then one without a text', async () => {
    const { alice, bob, conversation } = await pair(node.url)
    node.recorder.answer = ({ payload }) => ({ type: payload.preview === null ? 'accepted' : 'too_large' })
    await alice.send(conversation, 'long '.repeat(2_000))
    const sent = await node.recorder.waitFor(bob, 3)
    const lengths = sent.map(({ payload }) => payload.preview?.length ?? 0)
    expect(lengths).toEqual([241, 61, 0])
    for (const { payload } of sent) expect(Buffer.byteLength(JSON.stringify(payload))).toBeLessThan(2_900)
  })

  test('that is slow holds up neither the others nor their people', async () => {
    const slow = new PushRecorder()
    let isSlow = true
    const toSlow = { underWay: 0, most: 0 }
    node.recorder.answer = async (sent, signal) => {
      if (!sent.target.endpoint.includes('slow')) return { type: 'accepted' }
      await slow.send(sent.target, sent.payload, sent.options, signal)
      toSlow.most = Math.max(toSlow.most, ++toSlow.underWay)
      await until('the end', () => !isSlow || signal.aborted, 60_000)
      toSlow.underWay -= 1
      return signal.aborted ? { type: 'retry', afterMs: undefined, reason: 'given up' } : { type: 'accepted' }
    }
    const { alice, bob, conversation } = await pair(node.url)
    const group = await alice.group([bob])
    const tablet = await bob.anotherDevice()
    await subscribe(tablet, { host: 'slow.example' })
    await alice.send(conversation, 'one')
    await alice.send(group, 'two')
    const toPhone = () => node.recorder.to(bob).filter(({ target }) => !target.endpoint.includes('slow'))
    await until('both on the phone', () => toPhone().length === 2)
    isSlow = false
    const conversations = () => new Set(slow.to(bob).map(({ payload }) => payload.conversation_id))
    await until('both on the tablet', () => conversations().size === 2)
    expect([...conversations()]).toEqual([conversation, group])
    expect(toSlow.most).toBe(1)
  })
})
