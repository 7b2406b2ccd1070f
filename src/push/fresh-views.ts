import type { Announcement } from '../protocol/event.ts'
import type { Candidate, PushView } from '../store/pushes.ts'
import { keyOf } from './waiting.ts'

/** What there is to ring for, and until when that may be taken for true (monotonic). */
export type FreshView = { view: PushView; freshUntil: number }

type Kept = FreshView & Pick<Candidate, 'from_seq' | 'seq'>

/** What was looked up and has not begun by then may have been read, or its device may be gone: it is looked at again. */
const FRESH_MS = 1_000
/** More are not under way between a decision and its turn, unless other nodes take them. */
const MAX_KEPT = 4_096

/** After these there may be something else to ring for, or nothing. */
const CHANGING: ReadonlySet<string> = new Set([
  'conversation.read',
  'member.updated',
  'member.removed',
  'message.edited',
  'message.deleted',
])

/** When what is looked up now is no longer fresh (monotonic). */
export function freshFromNow(): number {
  return performance.now() + FRESH_MS
}

/** What was looked up when it was decided whom to wake: where their turn begins at once it need not be looked up again. */
export class FreshViews {
  readonly #kept = new Map<string, Kept>()

  keep(candidate: Candidate, fresh: FreshView): void {
    // What was not taken belongs to turns of other nodes.
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear()
    const { from_seq, seq } = candidate
    this.#kept.set(keyOf(candidate), { ...fresh, from_seq, seq })
  }

  /** Something was committed here. */
  notice({ body: { type, conversation_id }, recipients }: Announcement): void {
    if (conversation_id === null || !CHANGING.has(type)) return
    for (const user_id of recipients) this.drop({ user_id, about: conversation_id })
  }

  drop(candidate: Pick<Candidate, 'user_id' | 'about'>): void {
    this.#kept.delete(keyOf(candidate))
  }

  /** Of the same messages, once; with half of its time left, lest it ends on the way. */
  take(candidate: Candidate): FreshView | undefined {
    const kept = this.#kept.get(keyOf(candidate))
    this.drop(candidate)
    if (kept?.from_seq !== candidate.from_seq || kept.seq !== candidate.seq) return undefined
    return kept.freshUntil - performance.now() > FRESH_MS / 2 ? kept : undefined
  }
}
