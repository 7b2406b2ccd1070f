/** Every error the wire knows: a stable code, its HTTP status and its title. RFC 9457. */
export const PROBLEMS = {
  malformed_json: [400, 'The body is not JSON'],
  malformed_cursor: [400, 'The cursor is malformed'],
  malformed_request: [400, 'The request is malformed'],
  unauthenticated: [401, 'Sign in first'],
  token_invalid: [401, 'The token is not valid'],
  token_expired: [401, 'The token has expired'],
  token_reused: [401, 'The refresh token was used before'],
  ticket_expired: [401, 'The stream ticket has expired'],
  ticket_invalid: [401, 'The stream ticket is not valid'],
  bad_credentials: [401, 'Wrong name or password'],
  signed_out: [401, 'This device was signed out'],
  forbidden: [403, 'Not allowed'],
  blocked: [403, 'You are blocked'],
  origin_refused: [403, 'The origin is not allowed'],
  signup_closed: [403, 'Sign-up is closed'],
  directory_closed: [403, 'The directory is closed'],
  presence_off: [403, 'Presence is off'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'The method is not allowed'],
  request_timeout: [408, 'The request took too long to arrive'],
  username_taken: [409, 'The username is taken'],
  message_deleted: [409, 'The message was deleted'],
  user_id_taken: [409, 'The user id is taken'],
  request_in_progress: [409, 'The first request is still under way'],
  body_too_large: [413, 'The body is too large'],
  unsupported_media_type: [415, 'The body must be JSON'],
  validation_failed: [422, 'The request is not valid'],
  text_too_long: [422, 'The text is too long'],
  batch_too_large: [422, 'The batch is too large'],
  cursor_unknown: [422, 'The cursor cannot be honoured'],
  idempotency_mismatch: [422, 'The key was used for another request'],
  group_full: [422, 'The group is full'],
  reply_not_found: [422, 'The message replied to does not exist'],
  too_many_reactions: [422, 'The message has too many reactions'],
  user_not_found: [422, 'There is no such user'],
  push_endpoint_refused: [422, 'Nothing is pushed to this endpoint'],
  direct_conversation: [422, 'A direct conversation is between two'],
  rate_limited: [429, 'Too many requests'],
  internal: [500, 'Something went wrong here'],
  unavailable: [503, 'Not available just now'],
} as const satisfies Record<string, readonly [status: number, title: string]>

export type ProblemCode = keyof typeof PROBLEMS
/** More would only make the answer long. */
export const MAX_ERRORS = 20

export type FieldError = { path: string; message: string }

/** An error as a value of the catalogue: thrown once, turned into an answer once. */
export class Problem extends Error {
  readonly code: ProblemCode
  /** What to do next, for the caller; never SQL, a host or a stack. */
  readonly detail: string
  readonly errors: readonly FieldError[] | undefined
  /** Seconds, for 429 and 503. */
  readonly retryAfter: number | undefined

  constructor(
    code: ProblemCode,
    detail: string,
    more: { errors?: readonly FieldError[]; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(`${code}: ${detail}`, { cause: more.cause })
    this.name = 'Problem'
    this.code = code
    this.detail = detail
    this.errors = more.errors?.slice(0, MAX_ERRORS)
    this.retryAfter = more.retryAfter
  }

  get status(): number {
    return PROBLEMS[this.code][0]
  }

  /** The body of an `application/problem+json` answer. */
  toJSON(): Record<string, unknown> {
    const [status, title] = PROBLEMS[this.code]
    const { code, detail, errors } = this
    return { type: `/docs/problems#${code}`, title, status, detail, code, ...(errors && { errors }) }
  }
}

/** What a caller may not see answers exactly as what does not exist. */
export function notFound(what: string): Problem {
  return new Problem('not_found', `There is no such ${what}, or you may not see it. Check the id.`)
}

/** Postgres or this node cannot serve just now; nothing was half done. */
export function unavailable(detail: string, cause?: unknown): Problem {
  return new Problem('unavailable', detail, { retryAfter: 1, cause })
}
