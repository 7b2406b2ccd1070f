import type { Conversation } from '../../../src/protocol/types.ts'
import type { Campaign } from './campaign.ts'
import { Device, type Habits } from './device.ts'
import { Session, type Signed } from './session.ts'

const PASSWORD = 'correct horse'
/** Hashing passwords takes a core; more at once only make it slow. */
const AT_ONCE = 4

/** Somebody with an account and some devices. */
export type Person = { id: string; username: string; devices: readonly Device[] }

/** A conversation, and who is believed to be in it. The owner stays. */
export type Room = {
  id: string
  kind: 'direct' | 'group'
  owner: Person
  founders: Person[]
  members: Set<Person>
}

/** Everybody there is, and where they talk. */
export type Society = { people: Person[]; rooms: Room[] }

export type Census = {
  people: number
  devicesEach: number
  groups: number
  /** Smallest and largest group. */
  groupSize: readonly [number, number]
  directs: number
  habits?: Habits
}

/** Signs everybody up and founds the conversations. */
export async function settle(campaign: Campaign, census: Census): Promise<Society> {
  const tag = `${process.pid}x${Date.now().toString(36)}`
  const people: Person[] = []
  let next = 0
  const worker = async () => {
    while (next < census.people) {
      const number = next
      next += 1
      people[number] = await signUp(campaign, `u${number}x${tag}`, census)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  const rooms: Room[] = []
  for (let n = 0; n < census.groups; n += 1) rooms.push(await foundGroup(campaign, people, census, n))
  for (let n = 0; n < census.directs; n += 1) {
    const [one, other] = campaign.random.fork(`direct ${n}`).shuffled(people)
    if (one && other) rooms.push(await found(campaign, 'direct', one, [other]))
  }
  return { people, rooms: [...new Map(rooms.map((room) => [room.id, room])).values()] }
}

/** Signs in as another device of the same account. */
export async function signIn(campaign: Campaign, username: string): Promise<Session> {
  const body = { username, password: PASSWORD }
  return new Session(campaign, await enter(campaign, '/v1/sessions', body))
}

async function signUp(campaign: Campaign, username: string, census: Census): Promise<Person> {
  const signed = await enter(campaign, '/v1/accounts', { username, password: PASSWORD })
  const sessions = [new Session(campaign, signed)]
  while (sessions.length < census.devicesEach) sessions.push(await signIn(campaign, username))
  const devices = sessions.map((session, n) => {
    return new Device(campaign, session, `${username.split('x')[0]}.${n}`, census.habits)
  })
  return { id: signed.user.id, username, devices }
}

/** Repeats until somebody is signed in; a key makes the repetition safe. */
async function enter(campaign: Campaign, path: string, body: object): Promise<Signed> {
  const key = crypto.randomUUID()
  for (let node = campaign.random.below(campaign.nodeCount); ; node = campaign.otherNode(node)) {
    const url = campaign.addressOf(node) + path
    const answer = await campaign.http
      .call({ method: 'POST', url, body, key, timeoutMs: 10_000 })
      .catch(() => undefined)
    if (answer?.status === 201) return answer.body as Signed
    if (answer && answer.status < 500 && answer.status !== 409 && answer.status !== 429) {
      const detail = `node ${node}: ${JSON.stringify({ body, answer: answer.body })}`
      campaign.recorder.anomaly(`${path} was answered ${answer.status}`, detail)
    }
    campaign.patience.throwIfAborted()
    await campaign.pause(200)
  }
}

function foundGroup(
  campaign: Campaign,
  people: Person[],
  { groupSize }: Census,
  number: number,
): Promise<Room> {
  const random = campaign.random.fork(`group ${number}`)
  const size = groupSize[0] + random.below(groupSize[1] - groupSize[0] + 1)
  const [owner, ...others] = random.shuffled(people).slice(0, size)
  if (!owner) throw new Error('a group needs people')
  return found(campaign, 'group', owner, others)
}

async function found(campaign: Campaign, kind: Room['kind'], owner: Person, others: Person[]): Promise<Room> {
  const body = { kind, members: others.map((each) => each.id) }
  const [device] = owner.devices
  if (!device) throw new Error('nobody founds a conversation without a device')
  const request = { method: 'POST', path: '/v1/conversations', body, key: crypto.randomUUID() }
  const { answer } = await device.session.askUntil(request)
  if (answer.status > 201) throw new Error(`${kind} not founded: ${JSON.stringify(answer.body)}`)
  const founders = [owner, ...others]
  const { id } = answer.body as Conversation
  const members = founders.map((each) => each.id)
  const { conversations } = campaign.recorder
  // Two pairs drawn may have been the same: they share a conversation.
  if (!conversations.some((known) => known.id === id)) {
    conversations.push({ id, kind, witness: owner.id, members, messages: [] })
  }
  return { id, kind, owner, founders, members: new Set(founders) }
}
