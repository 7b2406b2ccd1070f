import { parseJson } from './answers.ts'
import { Patience } from './patience.ts'
import type { Requests } from './requests.ts'

/**
 * Whose inbox this is, so that what is kept here is never mistaken for another's: from the token if it is a JWT, else
 * from the server. Rejects when the signal is aborted. Tells each failure to find out.
 */
export async function whoIsCalling(
  requests: Requests,
  signal: AbortSignal,
  known: string | undefined,
  onFailure: (reason: string) => void,
): Promise<string> {
  if (known !== undefined) return known
  const patience = new Patience()
  for (let tries = 0; ; tries += 1) {
    if (signal.aborted) throw signal.reason
    const token = await requests.credentials.token().catch(() => undefined)
    const subject = token === undefined ? undefined : subjectOf(token)
    if (subject !== undefined) return subject
    const answer = await requests.json('/v1/users/me', undefined, { signal })
    const { id } = (answer.ok ? answer.body : {}) as { id?: unknown }
    if (typeof id === 'string') return id
    if (!answer.ok) onFailure(answer.reason)
    await patience.pause(tries, answer.ok ? undefined : answer.retryAfterMs, signal)
  }
}

/** The claim `sub` of a JWT, unverified: it only names what is this browser's own. */
function subjectOf(token: string): string | undefined {
  try {
    const payload = token.split('.')[1] ?? ''
    const { sub } = parseJson(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as { sub?: unknown }
    return typeof sub === 'string' ? sub : undefined
  } catch {
    return undefined
  }
}
