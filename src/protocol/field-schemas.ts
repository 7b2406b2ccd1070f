import { z } from 'zod'
import { MAX_DATA_BYTES, MAX_TEXT_LENGTH } from './constants.ts'
import type { ProblemCode } from './problems.ts'
import type { Data } from './types.ts'

/** The kinds of fields that requests are made of, each with what is wrong with a bad one. */

/** Unicode code points; a well-formed surrogate pair counts once. */
function codePoints(text: string): number {
  let pairs = 0
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit <= 0xdbff) {
      pairs += 1
      i += 1
    }
  }
  return text.length - pairs
}

/** Why a text is no text, if so: Postgres takes no NUL, UTF-8 no lone surrogate. */
function flaw(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL (U+0000)'
  return text.isWellFormed() ? undefined : 'must not contain a lone surrogate'
}

/** A text of `min` to `max` code points; over that the problem is `code`. */
export function words(min: number, max: number, code: ProblemCode = 'validation_failed') {
  return z
    .string({ error: 'must be a string' })
    .superRefine((value, context) => {
      const wrong = flaw(value)
      if (wrong) context.addIssue({ code: 'custom', message: wrong })
      else if (value.length > max && codePoints(value) > max) {
        context.addIssue({ code: 'custom', message: `must have at most ${max} characters`, params: { code } })
      } else if (value.length < min) {
        const message = min === 1 ? 'must not be empty' : `must have at least ${min} characters`
        context.addIssue({ code: 'custom', message })
      }
    })
    .meta({ minLength: min, maxLength: max })
}

export const text = words(1, MAX_TEXT_LENGTH, 'text_too_long')
export const userId = words(1, 128).meta({ description: 'Opaque, 1 to 128 characters.' })
/** A user id that a product chooses: those that cannot stand in a path are none. */
export const newUserId = userId.refine((id) => id !== 'me' && id !== '.' && id !== '..', {
  error: 'must not be "me", "." or ".."',
})
export const deviceId = words(1, 128)
export const uuid = z.uuid({ error: 'must be a UUID' }).transform((value) => value.toLowerCase())
export const seq = z.int({ error: 'must be a whole number' }).min(1, { error: 'must be at least 1' })

/** Nothing for what is nested so deeply that it ends the stack: JSON.parse takes it, JSON.stringify does not. */
function asJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

export const data = z
  .record(z.string(), z.unknown(), { error: 'must be an object' })
  .superRefine((value, context) => {
    const json = asJson(value)
    if (json === undefined) {
      context.addIssue({ code: 'custom', message: 'is nested too deeply' })
      return
    }
    if (new TextEncoder().encode(json).length > MAX_DATA_BYTES) {
      context.addIssue({ code: 'custom', message: `must have at most ${MAX_DATA_BYTES} bytes as JSON` })
    }
    // JSON.stringify writes these as escapes, so this finds them in names and values at any depth.
    if (/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f][0-9a-f]{2})/i.test(json)) {
      context.addIssue({ code: 'custom', message: 'must not contain NUL or lone surrogates' })
    }
  })
  .transform((value) => value as Data)
  .meta({ description: 'The product’s own JSON, up to 4 KB.', type: 'object' })

export function isUuid(text: string): boolean {
  return uuid.safeParse(text).success
}

/** A query parameter that is a whole number. */
export function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,16}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error })
    .meta({ type: 'integer', minimum: min, maximum: max })
}

export const seqParameter = whole(0, Number.MAX_SAFE_INTEGER)

/** The header that makes a creating request repeatable. */
export const idempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,64}$/, { error: 'must be 1 to 64 visible ASCII characters' })

const LONGEST_EMOJI = 64

/** One emoji in its full form: ❤ and ❤️ are one, so that nobody reacts twice with what looks the same. */
export const emoji = z
  .string()
  .max(LONGEST_EMOJI, { error: 'must be one emoji' })
  .transform((value) => [value, `${value}\ufe0f`].find((each) => /^\p{RGI_Emoji}$/v.test(each)) ?? '')
  .refine((value) => value !== '', { error: 'must be one emoji' })
  .meta({ description: 'One emoji, percent-encoded.', type: 'string' })
