import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Problem } from '../../protocol/problems.ts'

/** Whose `Idempotency-Key` it is in requests of the product's back end: no user's, no sign-up's. */
export const BACK_END = 'admin:'

/** Lets in whoever shows the ADMIN_TOKEN. Throws Problem unauthenticated, token_invalid. */
export function requireAdminToken(adminToken: string, incoming: IncomingMessage): void {
  const header = incoming.headers.authorization
  const token = /^bearer +([^\s]+)$/i.exec(header?.trim() ?? '')?.[1]
  if (token === undefined) {
    throw new Problem('unauthenticated', 'Send the header "Authorization: Bearer <ADMIN_TOKEN>".')
  }
  // Digests have one length, so comparing them takes one time whatever was sent.
  if (!timingSafeEqual(digest(token), digest(adminToken))) {
    throw new Problem('token_invalid', 'This is not the ADMIN_TOKEN that this server was started with.')
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
