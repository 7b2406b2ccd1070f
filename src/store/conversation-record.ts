import type { Data, SharedConversation } from '../protocol/types.ts'

/** A row of `conversations`; times are Dates from the driver or strings from `to_jsonb`. */
export type ConversationRecord = {
  id: string
  kind: 'direct' | 'group'
  title: string | null
  data: Data
  history: 'joined' | 'all'
  created_at: Date | string
  members_count: number
  last_seq: number
  system_messages: boolean
}

/** What is the same for all members. */
export function toSharedConversation(record: ConversationRecord): SharedConversation {
  return {
    id: record.id,
    kind: record.kind,
    title: record.title,
    data: record.data,
    created_at: new Date(record.created_at).toISOString(),
    last_seq: record.last_seq,
    members_count: record.members_count,
    history: record.history,
    system_messages: record.system_messages,
  }
}
