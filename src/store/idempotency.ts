import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { Problem } from '../protocol/problems.ts'
import type { Transaction } from './database.ts'

export type CreatingRequest = {
  /** Whose key it is: a user id, or what stands for one before there is a user. */
  sender: string
  /** The caller's `Idempotency-Key`, if there is one. */
  key: string | undefined
  /** Everything that makes two requests the same: route and body. */
  fingerprint: string
}

export type Answer = { status: number; body: unknown }

/**
 * Runs `create` in the caller's transaction, or gives the answer it gave under the same key within 24 h. A second use
 * waits for the first to commit. Answers hold tokens, so they are sealed with the caller's key, which is not kept.
 * Throws Problem idempotency_mismatch.
 */
export async function createOnce(
  tx: Transaction,
  request: CreatingRequest,
  create: () => Promise<Answer>,
): Promise<Answer & { replayed: boolean }> {
  if (request.key === undefined) return { ...(await create()), replayed: false }
  const key_hash = sha256(request.key)
  // With the key, which is not kept: passwords are in there, and must not be guessed from what is.
  const request_hash = sha256(`${request.key}\0${request.fingerprint}`)
  const claimed = await tx`
    INSERT INTO idempotency_keys AS k (sender, key_hash, request_hash) VALUES (${request.sender}, ${key_hash}, ${request_hash})
    ON CONFLICT (sender, key_hash) DO UPDATE
      SET request_hash = excluded.request_hash, status = NULL, answer = NULL, created_at = now()
      WHERE k.created_at < now() - interval '24 hours'
    RETURNING 1`
  if (claimed.length === 0) return replay(tx, request, key_hash, request_hash)
  const answer = await create()
  await tx`
    UPDATE idempotency_keys SET status = ${answer.status}, answer = ${seal(request, JSON.stringify(answer.body))}
    WHERE sender = ${request.sender} AND key_hash = ${key_hash}`
  return { ...answer, replayed: false }
}

async function replay(tx: Transaction, request: CreatingRequest, key_hash: Buffer, request_hash: Buffer) {
  const [row] = await tx<{ request_hash: Buffer; status: number | null; answer: Buffer | null }[]>`
    SELECT request_hash, status, answer FROM idempotency_keys WHERE sender = ${request.sender} AND key_hash = ${key_hash}`
  if (!row?.request_hash.equals(request_hash)) {
    throw new Problem(
      'idempotency_mismatch',
      'This Idempotency-Key was used for another request. Take a new key.',
    )
  }
  if (row.status === null || !row.answer) {
    throw new Problem(
      'request_in_progress',
      'The first request with this key is still under way. Repeat it in a moment.',
    )
  }
  return { status: row.status, body: JSON.parse(unseal(request, row.answer)), replayed: true }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

const NONCE_BYTES = 12
const TAG_BYTES = 16

function sealingKey({ key = '', fingerprint }: CreatingRequest): Buffer {
  return Buffer.from(hkdfSync('sha256', `${key}\0${fingerprint}`, '', 'longwave first answer', 32))
}

function seal(request: CreatingRequest, text: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', sealingKey(request), nonce)
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()])
}

function unseal(request: CreatingRequest, sealed: Buffer): string {
  const decipher = createDecipheriv('aes-256-gcm', sealingKey(request), sealed.subarray(0, NONCE_BYTES))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  return Buffer.concat([
    decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
    decipher.final(),
  ]).toString()
}
