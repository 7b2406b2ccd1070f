import { createECDH, randomBytes } from 'node:crypto'
import webPush from 'web-push'
import { PushService } from '../test/support/push-service.ts'
import { until } from '../test/support/wait.ts'
import type { PacedTasks } from './load/paced.ts'
import type { PushServiceTasks } from './load/push-service.ts'
import { atMost, type Bench, type BenchContext, type Figure, round } from './support/bench.ts'
import { coresNote, countCpu } from './support/cpu.ts'
import type { BenchDatabase } from './support/database.ts'
import { Durations, median } from './support/percentile.ts'
import { measureSends, startSender, targetsOf } from './support/sending.ts'
import { startWorker, type Worker } from './support/worker.ts'
import { randomPairs, type World } from './support/world.ts'

const GRACE_SECONDS = 2
const PER_SECOND = 1_000
/** It takes a minute in all, however long other benches measure. */
const MAX_SECONDS = 10
const WARM_UP_SECONDS = 2
const LATE_GOAL_MS = 1_000

const TALKERS = 10_000
const PAIRS = 6_400
const GROUPS = 100
const GROUP_SIZE = 100
const STRUCK = GROUPS * GROUP_SIZE
/** Bursts to people with a browser, and as many to people without: a disk that stalls once says nothing of either. */
const BURSTS = 3
/** The p99 of sends may rise by a third. */
const SEND_GOAL_RATIO = 4 / 3
/** What is not there by then is missing. */
const PATIENCE_MS = 20_000

/** Users by their indices: who talk, who are in groups, the first half of them without a browser, who are away each alone. */
function plan(sleepers: number) {
  const pairs = randomPairs(TALKERS, PAIRS)
  const members = (group: number) =>
    Array.from({ length: GROUP_SIZE }, (_, n) => TALKERS + group * GROUP_SIZE + n)
  const groups = Array.from({ length: 2 * BURSTS * GROUPS }, (_, group) => [group, ...members(group)])
  const first = TALKERS + 2 * BURSTS * STRUCK
  const alone = Array.from({ length: sleepers }, (_, n) => [n % TALKERS, first + n])
  return { users: first + sleepers, pairs, groups, alone, conversations: [...pairs, ...groups, ...alone] }
}

/** Everybody away has a browser: how soon they are pushed to, and what a burst of pushes costs those who send. */
export const push: Bench = {
  name: 'push',
  async run(context) {
    await using owner = new AsyncDisposableStack()
    const seconds = Math.min(context.seconds, MAX_SECONDS)
    const world = plan(PER_SECOND * (seconds + WARM_UP_SECONDS))
    const { publicKey, privateKey } = webPush.generateVAPIDKeys()
    const environment = {
      ...PushService.environment,
      PUSH_ALLOW_PRIVATE: 'on',
      PUSH_GRACE_SECONDS: String(GRACE_SECONDS),
      VAPID_PUBLIC_KEY: publicKey,
      VAPID_PRIVATE_KEY: privateKey,
    }
    const booted = await context.bootNodes(world, { count: 1, withNats: false, environment }, owner)
    const service = owner.use(
      startWorker<PushServiceTasks>(new URL('./load/push-service.ts', import.meta.url)),
    )
    const origin = await service.ask('open', null)
    const run = { context, owner, booted, service, seconds, world }
    await subscribe(booted.database, booted.world, TALKERS + BURSTS * STRUCK, origin, publicKey)
    const without: Burst[] = []
    const during: Burst[] = []
    for (let nth = 0; nth < BURSTS; nth += 1) {
      without.push(await burst(run, nth, 0))
      during.push(await burst(run, BURSTS + nth, STRUCK))
    }
    return [...(await steady(run)), ...burstFigures(without, during)]
  },
}

type Run = {
  context: BenchContext
  owner: AsyncDisposableStack
  booted: Awaited<ReturnType<BenchContext['bootNodes']>>
  service: Worker<PushServiceTasks>
  seconds: number
  world: ReturnType<typeof plan>
}

/** Everybody from `first` on gets a browser, whose endpoint is their number. */
async function subscribe(
  database: BenchDatabase,
  { userIds }: World,
  first: number,
  origin: string,
  vapidKey: string,
) {
  const browser = createECDH('prime256v1')
  const p256dh = browser.generateKeys('base64url')
  await database.with(async ({ sql }) => {
    await sql`
      INSERT INTO push_subscriptions (user_id, device_id, endpoint, endpoint_hash, p256dh, auth, vapid_public_key)
      SELECT d.user_id, d.id, e.endpoint, sha256(e.endpoint::bytea), ${p256dh}, ${randomBytes(16).toString('base64url')}, ${vapidKey}
      FROM unnest(${userIds.slice(first)}::text[]) WITH ORDINALITY AS u (id, n)
      JOIN devices d ON d.user_id = u.id
      CROSS JOIN LATERAL (SELECT ${`${origin}/`} || (u.n + ${first - 1})) AS e (endpoint)`
    await sql`ANALYZE push_subscriptions`
  })
}

/** A message to each of the nth hundred groups at once, and from then on others send. */
async function burst(
  { context, owner, booted, service, seconds, world: { pairs, groups } }: Run,
  nth: number,
  expected: number,
) {
  const [gateway] = booted.gateways
  if (!gateway) throw new Error('there is no gateway')
  const targets = await targetsOf(booted.world, [...pairs, ...groups])
  const struck = targets.slice(pairs.length + nth * GROUPS).slice(0, GROUPS)
  const sender = startSender(owner)
  const { url } = gateway
  let began = 0
  const strike = async () => {
    began = Date.now()
    const body = JSON.stringify({ text: 'The harbour is closed until noon.' })
    const posts = struck.map(async ({ conversation, token }) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const answer = await fetch(`${url}/v1/conversations/${conversation}/messages`, {
        method: 'POST',
        headers,
        body,
      })
      if (answer.status !== 201) throw new Error(`the burst was answered ${answer.status}`)
    })
    await Promise.all(posts)
  }
  const job = { url, connections: context.connections, seconds, targets: targets.slice(0, pairs.length) }
  const sent = await measureSends(sender, gateway, job, [service.pid], strike)
  await sender[Symbol.asyncDispose]()
  await untilPushed(service, expected)
  return { sent, began, arrivals: await service.ask('take', null) }
}

async function untilPushed(service: Run['service'], count: number): Promise<void> {
  const isDone = async () => (await service.ask('count', null)) >= count
  await until('all pushes', isDone, PATIENCE_MS).catch(() => {})
}

type Burst = Awaited<ReturnType<typeof burst>>

function burstFigures(without: Burst[], during: Burst[]): Figure[] {
  const drained = during.map(({ arrivals, began }) => {
    const last = arrivals.at.reduce((latest, [, ms]) => Math.max(latest, ms), began)
    return (last - began) / 1_000 - GRACE_SECONDS
  })
  const missing = during.reduce((sum, { arrivals }) => sum + STRUCK - arrivals.at.length, 0)
  const doubled = during.reduce((sum, { arrivals }) => sum + arrivals.doubled, 0)
  const of = (bursts: Burst[], what: 'p50' | 'p99') => bursts.map(({ sent }) => sent.latency[what])
  const each = (bursts: Burst[], what: 'p50' | 'p99') => of(bursts, what).map(round).join(', ')
  const ratio = median(of(during, 'p99')) / median(of(without, 'p99'))
  const sends = (bursts: Burst[]) => ({
    value: `${each(bursts, 'p50')} / ${each(bursts, 'p99')} ms`,
    note: `${round(median(bursts.map(({ sent }) => sent.perSecond)))} sends/s`,
  })
  const title = `push, bursts to ${round(STRUCK)}`
  const cpu = during[0] && coresNote(during[0].sent.cpu)
  return [
    {
      what: `${title}: all pushed after, beyond the grace time`,
      value: `${drained.map(round).join(', ')} s`,
      ...(cpu && { note: cpu }),
    },
    { what: `${title}: missing / doubled`, ...none(missing, doubled) },
    { what: `${title}: send p50 / p99 meanwhile`, ...sends(during) },
    { what: `${title}: the same where nobody is subscribed`, ...sends(without) },
    {
      what: `${title}: send p99 with pushes, of that without, by medians`,
      value: round(ratio),
      goal: { text: '≤ 1.33', met: ratio <= SEND_GOAL_RATIO },
    },
  ]
}

function none(missing: number, doubled: number): Pick<Figure, 'value' | 'goal'> {
  return {
    value: `${missing} / ${doubled}`,
    goal: { text: '0 / 0', met: missing === 0 && doubled === 0 },
  }
}

/** A thousand people a second are written to, each for the first time. */
async function steady({ context, owner, booted, service, seconds, world }: Run): Promise<Figure[]> {
  const [gateway] = booted.gateways
  if (!gateway) throw new Error('there is no gateway')
  const paced = owner.use(startWorker<PacedTasks>(new URL('./load/paced.ts', import.meta.url)))
  const targets = (await targetsOf(booted.world, world.conversations)).slice(-world.alone.length)
  const load = [paced.pid, service.pid]
  context.progress(`${PER_SECOND} a second`)
  const stopCounting = countCpu({ gateway: gateway.pid, database: gateway.database, load })
  const { failed, answer } = await paced.ask('run', {
    ...{ url: gateway.url, perSecond: PER_SECOND, seconds, warmUpSeconds: WARM_UP_SECONDS },
    ...{ readers: [], targets, receiversPerMessage: 0 },
  })
  await untilPushed(service, targets.length)
  const cpu = stopCounting()
  const { at, doubled } = await service.ask('take', null)
  const committed = await commits(booted.database, booted.world, world.conversations.length - targets.length)
  const lags = new Durations()
  const uncounted = PER_SECOND * WARM_UP_SECONDS
  const first = world.users - targets.length
  for (const [endpoint, ms] of at) {
    const number = endpoint - first
    if (number >= uncounted) lags.add(ms - (committed[number] ?? 0) - GRACE_SECONDS * 1_000)
  }
  const { p50, p99, max } = lags.summary()
  const title = `push, ${round(PER_SECOND)}/s`
  const per1000 = (spent: number) => `${round((spent / at.length) * 1_000_000)} ms`
  return [
    {
      what: `${title}: commit to push service, less the grace time, p99`,
      ...atMost(LATE_GOAL_MS, p99, 'ms'),
      note: coresNote(cpu),
    },
    { what: `${title}: p50 / max`, value: `${round(p50)} / ${round(max)} ms` },
    { what: `${title}: missing / doubled`, ...none(targets.length - at.length, doubled) },
    {
      what: `${title}: send p50 / p99 meanwhile`,
      value: `${round(answer.p50)} / ${round(answer.p99)} ms`,
    },
    { what: `${title}: sends failed`, value: String(failed), goal: { text: '0', met: failed === 0 } },
    {
      what: `${title}: CPU per 1,000 messages and pushes, gateway / Postgres`,
      value: `${per1000(cpu.gateway)} / ${per1000(cpu.postgres)}`,
    },
  ]
}

/** When the message of each conversation from `first` on was committed, ms since 1970. */
function commits(database: BenchDatabase, { conversationIds }: World, first: number): Promise<number[]> {
  return database.with(async ({ sql }) => {
    const rows = await sql<{ ms: number }[]>`
      SELECT (extract(epoch FROM m.created_at) * 1000)::float8 AS ms
      FROM unnest(${conversationIds.slice(first)}::uuid[]) WITH ORDINALITY AS c (id, n)
      LEFT JOIN messages m ON m.conversation_id = c.id AND m.seq = 1 ORDER BY c.n`
    return rows.map((row) => row.ms)
  })
}
