import { MAX_ANSWER_BYTES } from '../protocol/constants.ts'

/** What surrounds a list in its answer: `next` may hold a user id of 128 characters, or an encoded one. */
const ENVELOPE_BYTES = 1_024

/**
 * As many items, from the first on, as an answer may hold beside `others`: 48 KB, unless the first alone is more. `cut`
 * says that some are missing.
 */
export function fitting<T>(items: readonly T[], others: unknown = ''): { items: T[]; cut: boolean } {
  let bytes = ENVELOPE_BYTES + Buffer.byteLength(JSON.stringify(others))
  const end = items.findIndex((item, index) => {
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1
    return index > 0 && bytes > MAX_ANSWER_BYTES
  })
  return end === -1 ? { items: [...items], cut: false } : { items: items.slice(0, end), cut: true }
}

/** A page of at most `limit` of the items found, as far as they fit; `next` is its last where there are more. */
export function pageOf<T>(found: readonly T[], limit: number): { items: T[]; next: T | undefined } {
  const { items } = fitting(found.slice(0, limit))
  return { items, next: items.length < found.length ? items.at(-1) : undefined }
}
