import { randomUUID } from 'node:crypto'

/** A UUIDv7 (RFC 9562, 5.7) for a conversation or a message: 48 bits of milliseconds before a UUIDv4's 74 random bits. */
export function newId(): string {
  const time = Date.now().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
}
