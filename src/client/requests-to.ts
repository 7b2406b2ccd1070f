import { Credentials, type GetToken } from './credentials.ts'
import { type Fetch, Requests } from './requests.ts'

/**
 * Requests without a connection, such as for signing in; `chat.requests` are those of one. `onRefused` is called when a
 * cookie is answered with 401.
 * @example
 * const answer = await requestsTo({ url, cookie: true }).json('/v1/sessions', { username, password, cookie: true })
 * if (answer.ok) start(answer.body) // never rejects; of what failed `mayMend(answer)` says whether to try again
 */
export function requestsTo(
  { url, getToken, fetch: given }: { url: string; getToken?: GetToken; fetch?: Fetch; cookie?: true },
  onRefused?: () => void,
): Requests {
  // Browsers have theirs called as a function, not as a method of ours.
  const send: Fetch = (input, init) => (given ?? fetch)(input, init)
  return new Requests(url, new Credentials(getToken, onRefused), send)
}
