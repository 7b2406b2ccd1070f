import type { DeviceLog } from './device-log.ts'

/** All times of a history: ms of one monotonic clock. */
type Millis = number

/** One content under one key, however often it was tried. `text` is unique in the campaign, unless it was forged. */
export type SendRecord = {
  text: number
  key: string
  sender: string
  conversation: string
  startedAt: Millis
  /** When the last try began; of an answered send, the one that was answered. */
  triedAt: Millis
  endedAt: Millis
  tries: number
  /** `refused`: answered that it never will be. `unknown`: given up, or refused after a try that may have worked. */
  outcome: 'ok' | 'refused' | 'unknown'
  status: number
  /** All that was ever answered; all the same, unless P2 is broken. */
  answers: { id: string; seq: number; conversation: string; text: number; replayed: boolean }[]
}

/** An addition or a removal of a member, repeated until answered. */
export type MembershipRecord = {
  conversation: string
  user: string
  kind: 'add' | 'remove'
  startedAt: Millis
  endedAt: Millis
  outcome: 'ok' | 'unknown'
}

/** A read mark or a stored cursor: what was acknowledged, or seen later. */
export type MarkRecord = {
  kind: 'acknowledged' | 'seen'
  /** Whose: user and conversation, or device. */
  of: string
  value: number
  startedAt: Millis
  endedAt: Millis
}

/** A device that was signed out while its stream was open. */
export type SignOutRecord = {
  device: string
  answeredAt: Millis
  /** When its stream had ended and no node took its token any more; undefined if that outlived our patience. */
  endedAt: Millis | undefined
}

/** A fault from its beginning until nothing of it is left but what it broke. */
export type FaultRecord = {
  kind: string
  /** Where, for people. */
  target: string
  beganAt: Millis
  healedAt: Millis
  /** Processes killed. */
  kills: number
}

/** A conversation as the API tells it at the end, to one who has been a member all the time. */
export type ConversationRecord = {
  id: string
  kind: 'direct' | 'group'
  /** A member from the first to the last moment. */
  witness: string
  /** Members when it was made. */
  members: readonly string[]
  messages: { seq: number; sender: string; text: number; id: string }[]
}

/** Something that must never be, seen by a client on the spot. */
export type Anomaly = {
  at: Millis
  what: string
  detail: string
  /** The faults of the moment: when they began and were healed, ms from it. */
  meanwhile: string
}

/** All that a campaign did and saw. */
export type History = {
  /** Which users own which device logs. */
  devices: readonly DeviceLog[]
  sends: readonly SendRecord[]
  memberships: readonly MembershipRecord[]
  readMarks: readonly MarkRecord[]
  storedCursors: readonly MarkRecord[]
  signOuts: readonly SignOutRecord[]
  faults: readonly FaultRecord[]
  conversations: readonly ConversationRecord[]
  anomalies: readonly Anomaly[]
  deadlocks: number
}
