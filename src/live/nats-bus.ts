import { connect, credsAuthenticator, DebugEvents, ErrorCode, Events, type NatsConnection } from 'nats'
import { pause } from '../pause.ts'
import type { Announcement } from '../protocol/event.ts'
import type { Passing } from '../protocol/passing.ts'
import { StartError } from '../start-error.ts'
import type { Bus, Listener, Subscription } from './bus.ts'
import { encodeAnnouncement, encodeHints, HintReader, readAnnouncement } from './hint-codec.ts'
import { LocalBus } from './local-bus.ts'
import { encodePassingPiece, readPassingPiece } from './passing-codec.ts'

export type NatsOptions = {
  /** `host:port` each. */
  servers: string[]
  user?: string
  pass?: string
  token?: string
  /** The text of a credentials file. */
  creds?: string
  /** TLS is demanded; `ca` in PEM where it is not a public one. */
  tls?: { ca?: string }
}

type Log = { info(fields: object, message: string): void; warn(fields: object, message: string): void }

/** What has many recipients goes to all nodes in one piece. */
const FOR_MANY = 'longwave.hints'
const PASSING_FOR_MANY = 'longwave.passing'
/** Recipients for each node there is: from so many on, one piece for all costs less than a hint for each of them. */
const MANY_PER_NODE = 8

const PROBE_EVERY_MS = 500
/** A server that has not answered a probe in this time is taken for dead, until it answers. */
const PROBE_WITHIN_MS = 1_000
const CONNECT_WITHIN_MS = 2_000
const RECONNECT_MS = 250
/** The driver gives a silent connection up, and tries another server, after three of these. */
const PING_EVERY_MS = 3_000
const FLUSH_WITHIN_MS = 1_000
const REFUSALS: string[] = [ErrorCode.AuthorizationViolation, ErrorCode.BadAuthentication, ErrorCode.BadCreds]

/** What the driver's own `publish` ends in; message by message that costs a third of a delivery more. */
type Internals = {
  protocol: {
    sendCommand(frames: Uint8Array): void
    transport: { close(): Promise<void> }
    servers: { getServers(): { listen: string }[]; addServer(address: string): void }
  }
}

/** A subject that is listened to, on whatever connection there is. */
type Channel = { subject: string; hear(data: Uint8Array): void; end(): void }

/**
 * The bus of many nodes: NATS, a subject per inbox (`inbox.<user>`). What this node announces reaches its own readers
 * without the detour. Connects for ever; what is announced while it cannot is lost here, and found in the log.
 */
export class NatsBus implements Bus, AsyncDisposable {
  readonly #options: NatsOptions
  readonly #deployment: string
  readonly #log: Log
  readonly #local = new LocalBus()
  readonly #reader = new HintReader()
  readonly #channels = new Set<Channel>()
  readonly #onChange: (() => void)[] = []
  readonly #closing = new AbortController()
  readonly #closed = new Promise<void>((resolve) => {
    this.#closing.signal.addEventListener('abort', () => resolve())
  })
  readonly #ended: Promise<void>
  #connection: NatsConnection | undefined
  #isUp = false
  #flushing: Promise<void> | undefined

  private constructor(
    options: NatsOptions,
    log: Log,
    deployment: string,
    connection: NatsConnection | undefined,
  ) {
    this.#options = options
    this.#deployment = deployment
    this.#log = log
    this.#isUp = connection !== undefined
    this.#listen(FOR_MANY, (data) => {
      const hints = readAnnouncement(data)
      if (hints) this.#local.announce(hints)
    })
    this.#listen(PASSING_FOR_MANY, (data) => {
      const passing = readPassingPiece(deployment, data)
      if (passing) this.#local.pass(passing)
    })
    this.#ended = this.#keepConnected(connection)
  }

  /**
   * Connects, or goes on trying in the background where no server can be reached just now: a node serves without NATS.
   * Of what passes only that of the same `deployment` is heard: another over these servers may know the same user ids.
   * Throws StartError when a server refuses the credentials.
   */
  static async open(options: NatsOptions, log: Log, deployment = ''): Promise<NatsBus> {
    try {
      return new NatsBus(options, log, deployment, await dial(options))
    } catch (error) {
      if (REFUSALS.includes((error as { code?: string }).code ?? '')) {
        throw new StartError(
          'NATS refuses the credentials: check user, password or token in NATS_URL, or NATS_CREDS',
        )
      }
      return new NatsBus(options, log, deployment, undefined)
    }
  }

  get isUp(): boolean {
    return this.#isUp
  }

  onChange(listener: () => void): void {
    this.#onChange.push(listener)
  }

  announce(announcement: Announcement, others: number): void {
    this.#local.announce(announcement)
    // A server that does not take what it is sent would be waited for in memory.
    const connection = this.#isUp ? this.#openConnection() : undefined
    if (!connection) return
    const { recipients } = announcement
    const isForMany = recipients.length >= MANY_PER_NODE * (others + 1)
    const piece = isForMany ? encodeAnnouncement(announcement) : undefined
    if (piece && piece.length <= (connection.info?.max_payload ?? 0)) connection.publish(FOR_MANY, piece)
    else internals(connection).protocol.sendCommand(encodeHints(announcement, recipients.map(inboxSubject)))
  }

  pass(passing: Passing, others: number): void {
    this.#local.pass(passing)
    if (!this.#isUp) return
    const { recipients } = passing
    const isForMany = recipients.length >= MANY_PER_NODE * (others + 1)
    const subjects = isForMany ? [PASSING_FOR_MANY] : recipients.map(inboxSubject)
    const piece = Buffer.from(encodePassingPiece(this.#deployment, passing))
    for (const subject of subjects) this.#publish(subject, piece)
  }

  async subscribe(userId: string, listener: Listener): Promise<Subscription> {
    const local = await this.#local.subscribe(userId, listener)
    const channel = this.#listen(inboxSubject(userId), (data) => {
      const hint = this.#reader.read(data)
      if (hint) listener.hint(hint)
      else {
        const passing = readPassingPiece(this.#deployment, data)
        if (passing) listener.pass(passing.event)
      }
    })
    await this.#inForce()
    return {
      [Symbol.dispose]: () => {
        local[Symbol.dispose]()
        channel.end()
      },
    }
  }

  broadcast(topic: string, text: string): void {
    this.#publish(`longwave.${topic}`, Buffer.from(text))
  }

  onBroadcast(topic: string, listener: (text: string) => void): void {
    this.#listen(`longwave.${topic}`, (data) => listener(Buffer.from(data).toString()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What was announced just now still leaves.
    await this.#flush()
    this.#closing.abort()
    await this.#connection?.close()
    await this.#ended
  }

  /** What is more than a server takes is lost, as all may be here; the driver would throw. */
  #publish(subject: string, piece: Uint8Array): void {
    const connection = this.#openConnection()
    if (connection && piece.length <= (connection.info?.max_payload ?? 0)) connection.publish(subject, piece)
  }

  #listen(subject: string, hear: (data: Uint8Array) => void): Channel {
    const channel = { subject, hear, end: () => void this.#channels.delete(channel) }
    this.#channels.add(channel)
    this.#attach(channel)
    return channel
  }

  /** One that the driver closed for good throws at whoever uses it, before it is noticed here. */
  #openConnection(): NatsConnection | undefined {
    return this.#connection?.isClosed() ? undefined : this.#connection
  }

  #attach(channel: Channel): void {
    const connection = this.#openConnection()
    if (!connection) return
    const callback = (error: Error | null, { data }: { data: Uint8Array }) => {
      if (!error) channel.hear(data)
    }
    const subscription = connection.subscribe(channel.subject, { callback })
    channel.end = () => {
      this.#channels.delete(channel)
      subscription.unsubscribe()
    }
  }

  /**
   * Resolves when the server has taken all subscriptions of this tick. One that does not answer is not waited for long:
   * as soon as it does, all heads are checked.
   */
  #inForce(): Promise<void> {
    this.#flushing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      this.#flushing = undefined
      return this.#flush()
    })
    return this.#flushing
  }

  /** Resolves when the server has taken what it was sent, or has had long enough; at once while it is away. */
  async #flush(): Promise<void> {
    const connection = this.#connection
    if (!connection || !this.#isUp) return
    await Promise.race([isAnswered(connection), pause(FLUSH_WITHIN_MS, this.#closing.signal)])
  }

  async #keepConnected(first: NatsConnection | undefined): Promise<void> {
    if (first) await this.#serve(first)
    for (let attempt = 0; !this.#closing.signal.aborted; attempt += 1) {
      await pause(RECONNECT_MS * (0.5 + Math.random()), this.#closing.signal)
      const dialing = dial(this.#options).catch((error: unknown) => {
        if (attempt === 0 && !this.#closing.signal.aborted)
          this.#log.warn({ err: error }, 'NATS cannot be reached; the log is read more often until it can')
      })
      const connection = await Promise.race([dialing, this.#closed])
      // It may take seconds per server, which whoever drains does not have.
      if (this.#closing.signal.aborted) void dialing.then((late) => late?.close())
      else if (connection) await this.#serve(connection)
    }
  }

  /** Watches over a connection, which reconnects by itself, until it is closed for good. */
  async #serve(connection: NatsConnection): Promise<void> {
    this.#connection = connection
    for (const channel of this.#channels) this.#attach(channel)
    void this.#noticeDisconnects(connection)
    const closed = connection.closed().then(() => false)
    while (!this.#closing.signal.aborted && !connection.isClosed()) {
      // Answered only behind the subscriptions, also after a reconnect: then they are in force.
      const answered = Promise.race([isAnswered(connection), closed])
      const isLate = pause(PROBE_WITHIN_MS, this.#closing.signal).then(() => false)
      this.#turn(await Promise.race([answered, isLate]))
      await answered
      await pause(this.#isUp ? PROBE_EVERY_MS : RECONNECT_MS, this.#closing.signal)
    }
    this.#connection = undefined
    this.#turn(false)
  }

  /** A connection that breaks says so before a probe misses its answer. */
  async #noticeDisconnects(connection: NatsConnection): Promise<void> {
    for await (const { type, data } of connection.status()) {
      if (type === Events.Disconnect) this.#turn(false)
      // A permission that is missing, say: nothing else would tell.
      if (type === Events.Error) this.#log.warn({ error: data }, 'NATS refuses something')
      // The driver would first let leave what is on its way, to a server that takes nothing.
      if (type === DebugEvents.StaleConnection) await internals(connection).protocol.transport.close()
    }
  }

  #turn(isUp: boolean): void {
    if (isUp === this.#isUp) return
    this.#isUp = isUp
    if (isUp) this.#log.info({}, 'NATS is there')
    else if (!this.#closing.signal.aborted)
      this.#log.warn({}, 'NATS is gone; the log is read more often until it is back')
    for (const listener of this.#onChange) listener()
  }
}

function internals(connection: NatsConnection): Internals {
  return connection as unknown as Internals
}

async function dial({ servers, tls, creds, ...login }: NatsOptions): Promise<NatsConnection> {
  const connection = await connect({
    ...login,
    ...(creds !== undefined && { authenticator: credsAuthenticator(new TextEncoder().encode(creds)) }),
    ...(tls && { tls }),
    servers,
    name: 'longwave',
    noEcho: true,
    timeout: CONNECT_WITHIN_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_MS,
    // The driver gives up for ever when it is refused twice; credentials may be on their way to the server.
    ignoreAuthErrorAbort: true,
    pingInterval: PING_EVERY_MS,
    maxPingOut: 2,
  })
  // The driver forgets those that it did not reach before the first that it did.
  const known = internals(connection).protocol.servers
  const listens = new Set(known.getServers().map(({ listen }) => listen))
  for (const server of servers) if (!listens.has(server)) known.addServer(server)
  return connection
}

/** Whether the server answers what it is sent now, however long that takes; false when the connection breaks before. */
function isAnswered(connection: NatsConnection): Promise<boolean> {
  return connection.flush().then(
    () => true,
    () => false,
  )
}

/** `inbox.<user>`: an id is any text, a token of a subject must not hold blanks, dots or wildcards. */
function inboxSubject(userId: string): string {
  if (/^[\w-]+$/.test(userId)) return `inbox.${userId}`
  return `inbox.${encodeURIComponent(userId).replaceAll('.', '%2E').replaceAll('*', '%2A')}`
}
