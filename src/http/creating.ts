import { type Answer, createOnce } from '../store/idempotency.ts'
import type { Unit } from '../store/writer.ts'
import type { Reply, RequestFacts } from './endpoint.ts'
import type { Services } from './services.ts'

/**
 * Runs `create` in one transaction with the caller's Idempotency-Key, if there is one: the same key again gives the
 * first answer. `sender` is whose key it is, `request` what makes two requests the same.
 */
export async function creating(
  { writer }: Services,
  facts: RequestFacts,
  given: { sender: string; request: unknown },
  create: (unit: Unit) => Promise<Answer>,
): Promise<Reply> {
  const fingerprint = JSON.stringify([facts.path, given.request])
  const request = { sender: given.sender, key: facts.key, fingerprint }
  const { replayed, ...answer } = await writer.write((unit) =>
    createOnce(unit.tx, request, () => create(unit)),
  )
  return replayed ? { ...answer, headers: { 'Idempotent-Replayed': 'true' } } : answer
}
