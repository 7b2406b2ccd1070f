import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { type Logger, pino } from 'pino'
import type { Config } from './config.ts'
import { Delivery } from './delivery/delivery.ts'
import { FORGET } from './http/admin/broadcasts.ts'
import { Authenticator } from './http/auth/authenticator.ts'
import { IdentityProvider } from './http/auth/identity-provider.ts'
import { Passwords } from './http/auth/passwords.ts'
import { Revocations } from './http/auth/revocations.ts'
import { AccessTokens } from './http/auth/tokens.ts'
import { Limits } from './http/limits.ts'
import { Origins } from './http/origins.ts'
import { SUBSCRIBED } from './http/push-subscription.ts'
import { GatewayServer } from './http/server.ts'
import type { Services } from './http/services.ts'
import { buildSite } from './http/site-files.ts'
import { Audience } from './live/audience.ts'
import type { Bus } from './live/bus.ts'
import { Hub } from './live/hub.ts'
import { LocalBus } from './live/local-bus.ts'
import { NatsBus } from './live/nats-bus.ts'
import { Nodes } from './live/nodes.ts'
import { Receipts } from './live/receipts.ts'
import { Typing } from './live/typing.ts'
import { locateDatabase } from './locate-database.ts'
import { LEASE_MS } from './protocol/constants.ts'
import type { Passing } from './protocol/passing.ts'
import { StartError } from './start-error.ts'
import { startPresence } from './start-presence.ts'
import { type PushOverrides, startPush } from './start-push.ts'
import { Acknowledgements } from './store/acknowledgements.ts'
import { startBroadcaster } from './store/broadcaster.ts'
import { Clock } from './store/clock.ts'
import { type Announce, Committer } from './store/committer.ts'
import { Conversations } from './store/conversations.ts'
import { Database, type DatabaseOptions } from './store/database.ts'
import { Devices } from './store/devices.ts'
import { startEraser } from './store/eraser.ts'
import { Housekeeping } from './store/housekeeping.ts'
import { InboxReader } from './store/inbox.ts'
import { migrate } from './store/migrate.ts'
import { readAudience } from './store/presence.ts'
import { countForeignSubscriptions } from './store/push-subscriptions.ts'
import { SearchIndexer } from './store/search/indexer.ts'
import { Search } from './store/search/search.ts'
import { sharedSecret } from './store/secrets.ts'
import { Usage } from './store/usage.ts'
import { Users } from './store/users.ts'
import { Writer } from './store/writer.ts'
import { version } from './version.ts'

/** A group that takes longer is cancelled; it usually takes milliseconds. */
const COMMIT_MS = 3_000
/** How long a draining node goes on accepting, so that a balancer sees `/readyz` turn. */
const ACCEPT_MS = 4_000
/** Streams say `bye` spread over this … */
const DRAIN_SPREAD_MS = 1_500
/** … and what is still open after that is cut. */
const DRAIN_MS = 3_000

/** A node that runs. */
export type Gateway = AsyncDisposable & {
  /** Where it listens, with the port it got. */
  readonly url: string
  /** Ends kindly: `/readyz` turns, polls and streams end, accepted sends are committed. `hasty` leaves out the wait for balancers. */
  drain(hasty?: boolean): Promise<void>
}

/** What tests replace, and what a worker shares with others. */
export type Overrides = {
  log?: Logger
  bus?: Bus
  announce?: (announce: Announce) => Announce
  /** One that somebody else looks after. */
  database?: DatabaseOptions
  /** How long a device's word holds that it is there. */
  leaseMs?: number
  push?: PushOverrides
  /** Whoever started it tells where it listens. */
  isWorker?: boolean
}

/** Puts the parts together and starts to listen. Throws StartError when it cannot. */
export async function start(config: Config, overrides: Overrides = {}): Promise<Gateway> {
  const log = overrides.log ?? pino({ level: config.logLevel })
  await using stack = new AsyncDisposableStack()
  const database = stack.use(new Database(overrides.database ?? (await locateDatabase(config, log, stack))))
  await prepare(database, log)
  const services = await assemble(config, database, log, overrides, stack)
  const site = await buildSite(services)
  const server = new GatewayServer(services, site)
  const url = await server.listen(config)
  services.nodes.arrive(config.publicUrl ?? reachable(url))
  if (!overrides.isWorker) log.info(`Longwave ${version} is listening on ${url}`)
  await reportForeignSubscriptions(services).catch((error) => log.warn({ err: error }, 'in the background'))
  const parts = stack.move()
  let ended: Promise<void> | undefined
  const drain = (hasty = false) => {
    ended ??= drainServer(server, services, hasty ? 0 : ACCEPT_MS).finally(() => parts.disposeAsync())
    return ended
  }
  return { url, drain, [Symbol.asyncDispose]: () => drain(true) }
}

async function prepare(database: Database, log: Logger): Promise<void> {
  const onWait = (migration: string) =>
    log.warn(`The migration ${migration} waits until nobody holds its tables, as a dump does`)
  try {
    await migrate(database, onWait)
  } catch (error) {
    if (error instanceof StartError) throw error
    const reason = error instanceof Error ? error.message || String(error) : String(error)
    throw new StartError(
      `The database cannot be used: ${reason.split('\n')[0]}. Check DATABASE_URL and that Postgres runs`,
    )
  }
}

async function assemble(
  config: Config,
  database: Database,
  log: Logger,
  overrides: Overrides,
  stack: AsyncDisposableStack,
): Promise<Services> {
  const warn = (error: unknown) => log.warn({ err: error }, 'in the background')
  // Late is better than no start: what has no partition goes into the default one.
  await stack
    .use(new Housekeeping(database, config.retentionDays, warn))
    .run()
    .catch(warn)
  const clock = stack.use(new Clock(database.sql, warn))
  await clock.sync()
  const now = () => clock.now()
  const deployment = await sharedSecret(database, 'deployment')
  const bus = overrides.bus ?? (await openBus(config, deployment, log, stack))
  const node = `${hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`
  const delivery = stack.use(new Delivery(node, now))
  const nodes = stack.use(new Nodes(bus, { node, deployment }, () => delivery.load))
  const tell: Announce = (announcement) => {
    bus.announce(announcement, nodes.others)
    push.take(announcement)
  }
  const announce = overrides.announce?.(tell) ?? tell
  const committing = database.connect('longwave committer', 1, {
    lock_timeout: 500,
    statement_timeout: COMMIT_MS,
  })
  stack.defer(() => committing.end({ timeout: 2 }))
  const committer = new Committer(committing, announce, () => push.missed())
  const push = await startPush(
    {
      ...{ database, node, now, log, config, sendsUnderWay: () => committer.underWay },
      overrides: overrides.push ?? {},
    },
    stack,
  )
  const inbox = new InboxReader(database)
  const hub = stack.use(new Hub(bus, inbox, warn))
  const leaseMs = overrides.leaseMs ?? LEASE_MS
  const audience = new Audience((conversation) => readAudience(database.sql, conversation))
  const pass = (passing: Passing) => bus.pass(passing, nodes.others)
  const acknowledgements = new Acknowledgements(database, leaseMs)
  stack.defer(() => acknowledgements.close())
  const devices = new Devices(database, await sharedSecret(database, 'refresh token successor'))
  const tokens = new AccessTokens(await sharedSecret(database, 'access token'), now)
  const revocations = stack.use(new Revocations(devices, hub, warn))
  await revocations.start()
  const search = stack.use(new Search(database, stack.use(new SearchIndexer(database, warn))))
  const origins = new Origins(config)
  const writer = new Writer(database, announce)
  const usage = stack.use(new Usage(database, () => committer.committed, warn))
  const provider =
    config.provider && stack.use(new IdentityProvider(config.provider, { devices, now, onError: warn }))
  const onSeen = (user: string) => usage.see(user)
  const presence = startPresence(
    { database, bus, deployment, nodes, hub, leaseMs, isShown: config.presence },
    warn,
    stack,
  )
  bus.onBroadcast(FORGET, () => hub.forget())
  bus.onBroadcast(SUBSCRIBED, (userId) => presence.writeDown(userId))
  return {
    config,
    log,
    version,
    database,
    writer,
    committer,
    users: new Users(database),
    devices,
    conversations: new Conversations(database),
    inbox,
    search,
    acknowledgements,
    hub,
    presence,
    typing: new Typing(audience, pass, now),
    receipts: stack.use(new Receipts(pass, now)),
    delivery,
    bus,
    nodes,
    tokens,
    passwords: new Passwords(),
    revocations,
    authenticator: new Authenticator({ tokens, devices, revocations, origins, provider, onSeen }),
    origins,
    limits: new Limits(config.rateLimits),
    push,
    broadcaster: stack.use(
      startBroadcaster({ database, announce, committer, onError: warn, onUncertain: () => push.missed() }),
    ),
    eraser: stack.use(startEraser(writer, warn)),
  }
}

/** Where it listens, unless that is everywhere, which is no address for a client. */
function reachable(url: string): string | undefined {
  return /\/\/(0\.0\.0\.0|\[::\]):/.test(url) ? undefined : url
}

async function openBus(
  { nats }: Config,
  deployment: string,
  log: Logger,
  stack: AsyncDisposableStack,
): Promise<Bus> {
  return nats ? stack.use(await NatsBus.open(nats, log, deployment)) : new LocalBus()
}

/** Says when browsers cannot be woken because the keys have changed. */
async function reportForeignSubscriptions({ database, push, log }: Services): Promise<void> {
  const { publicKey } = push.vapid
  const count = await countForeignSubscriptions(database.sql, publicKey)
  if (count === 0) return
  log.warn(
    `${count} push subscriptions were made with another VAPID key than the present ${publicKey}: ` +
      'nothing is pushed to them until their browsers subscribe again, or the former key is set again',
  )
}

async function drainServer(
  server: GatewayServer,
  { delivery, nodes, log }: Services,
  acceptMs: number,
): Promise<void> {
  log.info('Draining')
  delivery.stopAccepting()
  nodes.leave()
  if (acceptMs > 0) await new Promise((resolve) => setTimeout(resolve, acceptMs))
  await server.takeWaiting()
  const closed = server.close()
  delivery.drain(acceptMs > 0 ? DRAIN_SPREAD_MS : 0)
  const cut = setTimeout(() => server.cut(), DRAIN_MS)
  await closed
  clearTimeout(cut)
}
