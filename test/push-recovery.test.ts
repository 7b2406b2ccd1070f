import { expect, onTestFinished, test } from 'vitest'
import { ADMIN_TOKEN, BackEnd } from './support/back-end.ts'
import { startGateway } from './support/gateway.ts'
import { acknowledge, GRACE_MS, LEASE_MS, PUSH_TIMES, usePush } from './support/push.ts'
import { PushRecorder } from './support/push-recorder.ts'
import { TcpProxy } from './support/tcp-proxy.ts'
import { until } from './support/wait.ts'

const push = usePush()

/** A gateway that reaches Postgres by a proxy. */
async function startBehindProxy() {
  const proxy = await TcpProxy.before(push.postgres.url)
  onTestFinished(() => proxy[Symbol.asyncDispose]())
  const recorder = new PushRecorder()
  const start = async () => {
    const settings = { adminToken: ADMIN_TOKEN, push: { graceMs: GRACE_MS } }
    const overrides = { leaseMs: LEASE_MS, push: { send: recorder.send, ...PUSH_TIMES } }
    const gateway = await startGateway(proxy.through(push.postgres.url), settings, overrides)
    onTestFinished(() => gateway[Symbol.asyncDispose]())
    return gateway
  }
  return { proxy, recorder, start }
}

const plannerMarks = (node: string) => push.database.sql`SELECT 1 FROM push_planners WHERE node = ${node}`

/** As a node that died leaves it. */
async function leaveMark(node: string): Promise<void> {
  await push.database.sql`
    INSERT INTO push_planners (node, planned_until, beat_at)
    VALUES (${node}, now() - interval '20 seconds', now() - interval '1 minute')`
}

test('a message whose COMMIT answer is lost rings, once', async () => {
  const { proxy, recorder, start } = await startBehindProxy()
  const { url } = await start()
  const { alice, bob, conversation } = await push.pair(url)
  const lost = proxy.loseAnswer(
    (_, { first, last }) => first.includes('longwave committer') && last.includes('hello'),
  )
  const answer = await alice.send(conversation, 'hello')
  await lost
  expect([200, 201]).toContain(answer.status)
  const sent = await recorder.waitFor(bob)
  expect(sent.map(({ payload }) => payload.preview)).toEqual(['hello'])
})

test('so does an announcement', async () => {
  const { proxy, recorder, start } = await startBehindProxy()
  const { url } = await start()
  const { bob } = await push.pair(url)
  const lost = proxy.loseAnswer((answer) => answer.includes('gone astray') && answer.includes(bob.id))
  await new BackEnd(url).call('POST', '/broadcasts', { text: 'gone astray' })
  await lost
  const sent = await recorder.waitFor(bob)
  expect(sent.map(({ payload }) => payload.type)).toEqual(['announcement'])
})

test('what a dead node left is not lost with the answer to its taking over', async () => {
  const { proxy, recorder, start } = await startBehindProxy()
  const silent = await push.start({ push: { graceMs: 600_000 } })
  const { alice, bob, conversation } = await push.pair(silent.url)
  await alice.send(conversation, 'hello')
  await silent.gateway[Symbol.asyncDispose]()
  const lost = proxy.loseAnswer((answer) => answer.includes('"planned_until"'))
  await start()
  await lost
  await recorder.waitFor(bob)
})

test('what somebody saw and answered does not ring when a dead node is taken over', async () => {
  const { url, recorder } = await push.start()
  const { alice, bob, conversation } = await push.pair(url)
  const laptop = await bob.anotherDevice()
  await alice.send(conversation, 'question')
  await acknowledge(laptop, true)
  await laptop.send(conversation, 'answer')
  await acknowledge(laptop, false)
  await leaveMark('dead')
  await until('it to be gone through', async () => (await plannerMarks('dead')).length === 0)
  await push.marker({ url, recorder })
  expect(recorder.to(bob)).toEqual([])
})
