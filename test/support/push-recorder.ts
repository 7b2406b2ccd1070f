import type { PushOptions, PushOutcome, PushPayload, PushTarget, SendPush } from '../../src/push/push.ts'
import { until } from './wait.ts'

/** A push as it was handed over to be sent. */
export type Sent = { target: PushTarget; payload: PushPayload; options: PushOptions; at: number }

const accept = (): PushOutcome => ({ type: 'accepted' })

type Answer = (sent: Sent, signal: AbortSignal) => PushOutcome | Promise<PushOutcome>

/** Takes pushes instead of push services, and answers as it is told. */
export class PushRecorder {
  readonly all: Sent[] = []
  answer: Answer = accept

  readonly send: SendPush = async (target, payload, options, signal) => {
    const sent = { target, payload, options, at: performance.now() }
    this.all.push(sent)
    return this.answer(sent, signal)
  }

  /** From now on all are accepted. */
  reset(): void {
    this.answer = accept
  }

  /** What was sent to a person so far. */
  to(person: { id: string }): Sent[] {
    return this.all.filter(({ target }) => target.user_id === person.id)
  }

  /** Resolves with what was sent to a person once it is as much. */
  async waitFor(person: { id: string }, count = 1, limitMs = 20_000): Promise<Sent[]> {
    await until(`${count} pushes`, () => this.to(person).length >= count, limitMs)
    return this.to(person)
  }
}
