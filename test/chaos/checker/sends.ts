import type { ConversationRecord, History, SendRecord } from '../history/history.ts'
import { Findings, type Violation } from './violation.ts'

type Place = { conversation: string; seq: number; id: string; sender: string }

/**
 * P1: what was answered is there; what nobody sent, or what was refused, is not.
 * P2: a key made at most one message, and every answer to it names that one.
 */
export function checkSends({ sends, conversations }: Pick<History, 'sends' | 'conversations'>): Violation[] {
  const findings = new Findings()
  const places = placesOf(conversations, findings)
  const sent = new Set(sends.map((send) => send.text))
  for (const [text, place] of places) {
    if (!sent.has(text)) findings.add('P1', 'a message that nobody sent', { text, ...place })
  }
  const byKey = new Map<string, SendRecord[]>()
  for (const send of sends) {
    checkOutcome(send, places.get(send.text), findings)
    const key = `${send.sender} ${send.key}`
    const others = byKey.get(key)
    if (others) others.push(send)
    else byKey.set(key, [send])
  }
  for (const ofKey of byKey.values()) checkKey(ofKey, places, findings)
  return findings.violations
}

function placesOf(conversations: readonly ConversationRecord[], findings: Findings): Map<number, Place> {
  const places = new Map<number, Place>()
  for (const { id: conversation, messages } of conversations) {
    for (const { seq, text, id, sender } of messages) {
      const place = { conversation, seq, id, sender }
      const other = places.get(text)
      if (other) findings.add('P2', 'a message is there twice', { text, places: [other, place] })
      else places.set(text, place)
    }
  }
  return places
}

function checkOutcome(send: SendRecord, place: Place | undefined, findings: Findings): void {
  if (send.outcome === 'ok' && !place) findings.add('P1', 'an answered message is lost', send)
  if (send.outcome === 'refused' && place) findings.add('P1', 'a refused message is there', { send, place })
  if (place && place.sender !== send.sender)
    findings.add('P1', 'a message of another sender', { send, place })
}

function checkKey(ofKey: readonly SendRecord[], places: Map<number, Place>, findings: Findings): void {
  const made = ofKey.flatMap((send) => places.get(send.text) ?? [])
  if (made.length > 1) findings.add('P2', 'a key made two messages', { ofKey, made })
  let first = 0
  for (const send of ofKey) {
    const place = places.get(send.text)
    for (const answer of send.answers) {
      if (!answer.replayed) first += 1
      const isSame =
        answer.text === send.text && (!place || (answer.id === place.id && answer.seq === place.seq))
      if (!isSame) findings.add('P2', 'an answer names another message', { send, place })
    }
  }
  if (first > 1) findings.add('P2', 'a key was answered as new twice', { ofKey })
}
