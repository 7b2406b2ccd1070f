import { notFound, Problem } from '../protocol/problems.ts'
import type { Role } from '../protocol/types.ts'
import type { ConversationRecord } from './conversation-record.ts'
import type { Transaction } from './database.ts'

export type Membership = {
  user_id: string
  role: Role
  /** The first seq that this member may see. */
  from_seq: number
  read_seq: number
}

/** Who changes something: a member, or null for the product's back end, which may do what an owner may. */
export type By = string | null

/** The back end, where it stands in for a member. */
export const BACK_END: Membership = { user_id: '', role: 'owner', from_seq: 1, read_seq: 0 }

/** A conversation that is locked, and who is in it; `own` is the one who asked. */
export type Locked = { record: ConversationRecord; members: Membership[]; own: Membership }

/**
 * The conversation and its members, the conversation locked: until COMMIT nobody sends to it, joins or leaves it.
 * Throws Problem not_found unless `user` is a member.
 */
export async function lockConversation(tx: Transaction, id: string, user: By): Promise<Locked> {
  const [record] = await tx<
    ConversationRecord[]
  >`SELECT * FROM conversations WHERE id = ${id} FOR NO KEY UPDATE`
  const members = await tx<Membership[]>`
    SELECT user_id, role, from_seq, read_seq FROM members WHERE conversation_id = ${id} ORDER BY joined_at, user_id`
  const own = user === null ? BACK_END : members.find((member) => member.user_id === user)
  if (!record || !own) throw notFound('conversation')
  return { record, members: [...members], own }
}

/** Throws Problem direct_conversation. */
export function requireGroup(record: ConversationRecord): void {
  if (record.kind === 'group') return
  throw new Problem('direct_conversation', 'Its members cannot change. Create a group for more people.')
}

/** Throws Problem forbidden; `who` may do it. */
export function requireRank(allowed: boolean, who: string): void {
  if (!allowed) throw new Problem('forbidden', `Only ${who} may do this. Ask one of them.`)
}

/** The ids of members. */
export function idsOf(members: readonly Membership[]): string[] {
  return members.map((member) => member.user_id)
}
