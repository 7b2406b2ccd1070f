import type { DeviceLog } from '../history/device-log.ts'

/** What happened in a conversation, in the one order in which it did. */
export type Step =
  | { kind: 'founded' }
  | { kind: 'message'; seq: number; text: number; user: string }
  | { kind: 'added' | 'removed'; user: string }
  /** Something that may not be seen any more. */
  | { kind: 'hidden' }

const MEMBERS = { 'member.added': 'added', 'member.removed': 'removed' } as const

/** What the devices of one user saw of each conversation: what one saw hidden another may have seen. */
export function stepsSeen(devices: readonly DeviceLog[]): Map<string, Step[]> {
  const steps = new Map<string, Step[]>()
  const longest = devices.toSorted((a, b) => b.length - a.length)
  const [first] = longest
  if (!first) return steps
  for (let index = 0; index < first.length; index += 1) {
    const events = longest.map((device) => device.at(index)).filter((event) => event.id === first.idAt(index))
    const event = events.find(({ type }) => type !== 'redacted') ?? events[0]
    const step = event && toStep(event)
    if (!event || !step) continue
    const known = steps.get(event.conversation)
    if (known) known.push(step)
    else steps.set(event.conversation, [step])
  }
  return steps
}

function toStep(event: { type: string; seq: number; text: number; user: string }): Step | undefined {
  const { type, seq, text, user } = event
  if (type === 'message.created') return { kind: 'message', seq, text, user }
  if (type === 'member.added' || type === 'member.removed') return { kind: MEMBERS[type], user }
  if (type === 'conversation.created') return { kind: 'founded' }
  return type === 'redacted' ? { kind: 'hidden' } : undefined
}

/** For comparing: two steps with one name are the same. */
export function nameOf(step: Step): string {
  if (step.kind === 'message') return `message ${step.seq} t${step.text} of ${step.user}`
  return 'user' in step ? `${step.kind} ${step.user}` : step.kind
}
