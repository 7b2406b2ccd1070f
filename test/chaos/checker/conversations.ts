import type { ConversationRecord, History, MembershipRecord, SendRecord } from '../history/history.ts'
import { byUser } from './inboxes.ts'
import { Findings, type Violation } from './violation.ts'
import { nameOf, type Step, stepsSeen } from './witness.ts'

/**
 * P1, P4, P6: each member saw exactly that part of a conversation's one order in which they were members: nothing of it
 * is missing, nothing else is there, nothing is elsewhere. The order is that of the witness, who was always there.
 */
export function checkConversations(
  history: Pick<History, 'devices' | 'conversations' | 'memberships' | 'sends'>,
): Violation[] {
  const findings = new Findings()
  const seen = new Map<string, Map<string, Step[]>>()
  for (const [user, devices] of byUser(history.devices)) seen.set(user, stepsSeen(devices))
  const sends = Map.groupBy(history.sends, (send) => send.conversation)
  const memberships = Map.groupBy(history.memberships, (change) => change.conversation)
  for (const conversation of history.conversations) {
    const order = seen.get(conversation.witness)?.get(conversation.id) ?? []
    checkHistory(conversation, order, findings)
    checkSenders(conversation, order, findings)
    for (const user of conversation.members) {
      const expected = partOf(order, conversation, user)
      compare(
        expected,
        seen.get(user)?.get(conversation.id) ?? [],
        { conversation: conversation.id, user },
        findings,
      )
    }
    checkTimes(order, memberships.get(conversation.id) ?? [], sends.get(conversation.id) ?? [], findings)
  }
  return findings.violations
}

/** P4: history counts 1, 2, 3 … and is what the witness saw. */
function checkHistory(
  { id, messages }: ConversationRecord,
  order: readonly Step[],
  findings: Findings,
): void {
  const live = order.filter((step) => step.kind === 'message')
  for (let index = 0; index < Math.max(messages.length, live.length); index += 1) {
    const [kept, told] = [messages[index], live[index]]
    const isSame = kept?.seq === index + 1 && kept.seq === told?.seq && kept.text === told.text
    if (isSame) continue
    const promise = kept && !told ? 'P1' : 'P4'
    findings.add(promise, 'history and inbox differ', { conversation: id, seq: index + 1, kept, told })
    return
  }
}

/** P6: only members send. */
function checkSenders({ id, members }: ConversationRecord, order: readonly Step[], findings: Findings): void {
  const present = new Set(members)
  for (const step of order) {
    if (step.kind === 'added') present.add(step.user)
    else if (step.kind === 'removed') present.delete(step.user)
    else if (step.kind === 'message' && !present.has(step.user)) {
      findings.add('P6', 'a stranger sent', { conversation: id, step })
    }
  }
}

/** What a user may see: from being added to being removed, as often as that happened. */
function partOf(order: readonly Step[], { members }: ConversationRecord, user: string): Step[] {
  let isPresent = members.includes(user)
  const part: Step[] = []
  for (const step of order) {
    const isOwn = 'user' in step && step.user === user
    if (step.kind === 'added' && isOwn) {
      isPresent = true
      part.push({ kind: 'founded' })
    } else if (isPresent) part.push(step)
    if (step.kind === 'removed' && isOwn) isPresent = false
  }
  return part
}

/** What is hidden was one of the steps due, or something of the user's own, such as a read mark. */
function compare(expected: Step[], actual: Step[], where: object, findings: Findings): void {
  const names = expected.map(nameOf)
  let next = 0
  let hidden = 0
  for (const [index, step] of [...actual, END].entries()) {
    if (step.kind === 'hidden') {
      hidden += 1
      continue
    }
    const at = step === END ? names.length : names.indexOf(nameOf(step), next)
    if (at < 0 || at - next > hidden) {
      const context = {
        ...where,
        index,
        due: expected[next],
        got: step,
        before: actual.slice(Math.max(0, index - 3), index),
      }
      classify(step, { names, next }, actual, context, findings)
      return
    }
    next = at + 1
    hidden = 0
  }
}

/** Behind everything. */
const END: Step = { kind: 'removed', user: '' }

function classify(
  got: Step,
  { names, next }: { names: string[]; next: number },
  actual: Step[],
  context: object,
  findings: Findings,
): void {
  const due = names[next]
  if (got !== END && !names.includes(nameOf(got))) {
    findings.add('P6', 'somebody was told what is not theirs', context)
  } else if (due !== undefined && !actual.some((step) => nameOf(step) === due)) {
    findings.add('P1', 'somebody was not told', context)
  } else findings.add('P4', 'somebody was told in another order', context)
}

/** P6: what began after a change of membership was answered comes behind it. */
function checkTimes(
  order: readonly Step[],
  changes: readonly MembershipRecord[],
  sends: readonly SendRecord[],
  findings: Findings,
): void {
  const startedAt = new Map(sends.map((send) => [send.text, send.startedAt]))
  const due = Map.groupBy(
    changes.filter((change) => change.outcome === 'ok'),
    ({ kind, user }) => `${kind} ${user}`,
  )
  let latest = Number.NEGATIVE_INFINITY
  for (const step of order) {
    if (step.kind === 'message') latest = Math.max(latest, startedAt.get(step.text) ?? latest)
    if (step.kind !== 'added' && step.kind !== 'removed') continue
    const change = due.get(`${step.kind === 'added' ? 'add' : 'remove'} ${step.user}`)?.shift()
    if (change && latest > change.endedAt) {
      findings.add('P6', 'a message slipped in before a change that was answered before it', {
        step,
        change,
        latest,
      })
    }
  }
  for (const left of due.values()) {
    for (const change of left) findings.add('P1', 'an answered change of membership is lost', change)
  }
}
