import type { IncomingMessage } from 'node:http'
import { SESSION_DAYS } from '../../protocol/constants.ts'

const NAME = 'longwave_session'
const PATTERN = new RegExp(`(?:^|;)\\s*${NAME}=([A-Za-z0-9_-]+)`)

/** The session cookie of a request. RFC 6265. */
export function readCookie(incoming: IncomingMessage): string | undefined {
  const { cookie } = incoming.headers
  return cookie === undefined ? undefined : PATTERN.exec(cookie)?.[1]
}

/** A `Set-Cookie` value that begins or extends a session. */
export function sessionCookie(secret: string, secure: boolean): string {
  return `${NAME}=${secret}; Path=/; Max-Age=${SESSION_DAYS * 86_400}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
}

/** A `Set-Cookie` value that ends the session in the browser. */
export function endedCookie(secure: boolean): string {
  return `${NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
}
