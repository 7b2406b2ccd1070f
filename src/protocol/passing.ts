import type { PresenceState } from './types.ts'

/** What an event that passes says; each type has its own fields. */
export type PassingFields =
  | { type: 'typing'; at: string; conversation_id: string; user_id: string; expires_in: number }
  | { type: 'receipt.read'; at: string; conversation_id: string; user_id: string; seq: number }
  | ({ type: 'presence.changed'; at: string } & PresenceState)

/** An event that is in no log: its `id` is null, it moves no cursor, and who does not listen has missed it. */
export type PassingEvent = {
  readonly type: PassingFields['type']
  readonly conversation_id: string | null
  /** Whom it is about. */
  readonly user_id: string
  /** The whole event. */
  readonly json: string
}

/** A passing event and who may see it. */
export type Passing = { readonly recipients: readonly string[]; readonly event: PassingEvent }

export function encodePassing(fields: PassingFields): PassingEvent {
  const conversation_id = 'conversation_id' in fields ? fields.conversation_id : null
  return {
    type: fields.type,
    conversation_id,
    user_id: fields.user_id,
    json: JSON.stringify({ id: null, ...fields }),
  }
}

/** Of events with the same key only the newest says anything. */
export function passingKey({ type, conversation_id, user_id }: PassingEvent): string {
  return `${type} ${conversation_id ?? ''} ${user_id}`
}
