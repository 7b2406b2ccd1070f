import { DeviceLog } from './device-log.ts'
import type {
  Anomaly,
  ConversationRecord,
  FaultRecord,
  MarkRecord,
  MembershipRecord,
  SendRecord,
  SignOutRecord,
} from './history.ts'
import { Names } from './names.ts'

/** More of them say nothing new. */
const MAX_ANOMALIES = 1_000
/** What was broken so long ago may be the cause. */
const RECENT_MS = 5_000

/** Where everybody in a campaign writes down what they did and saw. */
export class Recorder {
  readonly devices: DeviceLog[] = []
  readonly sends: SendRecord[] = []
  readonly memberships: MembershipRecord[] = []
  readonly readMarks: MarkRecord[] = []
  readonly storedCursors: MarkRecord[] = []
  readonly signOuts: SignOutRecord[] = []
  readonly faults: FaultRecord[] = []
  readonly conversations: ConversationRecord[] = []
  readonly anomalies: Anomaly[] = []
  deadlocks = 0
  readonly #names = new Names()
  #texts = 0

  device(user: string, name: string): DeviceLog {
    const log = new DeviceLog(user, name, this.#names)
    this.devices.push(log)
    return log
  }

  /** A number that no text had yet. */
  nextText(): number {
    this.#texts += 1
    return this.#texts
  }

  anomaly(what: string, detail: string): void {
    if (this.anomalies.length >= MAX_ANOMALIES) return
    const at = performance.now()
    const broken = this.faults.filter(({ healedAt }) => !(healedAt < at - RECENT_MS))
    const meanwhile = broken.map(({ kind, target, beganAt, healedAt }) => {
      return { kind, target, began: Math.round(beganAt - at), healed: Math.round(healedAt - at) }
    })
    this.anomalies.push({ at, what, detail, meanwhile: JSON.stringify(meanwhile) })
  }
}

/** The text of that number; the filler gives it a usual length. */
export function textOf(number: number): string {
  return `t${number} ${'lorem ipsum dolor sit amet'.slice(0, 8 + (number % 19))}`
}

/** The number in a text; -1 if it is none of ours. */
export function numberOf(text: unknown): number {
  const match = typeof text === 'string' ? /^t(\d+) /.exec(text) : null
  return match ? Number(match[1]) : -1
}
