import { fold } from './users.ts'

const MENTION = /(?<![\p{L}\p{N}_.+-])@([A-Za-z0-9][A-Za-z0-9._-]{0,63})/gu
/** More names in one text are no mentions. */
const MAX_NAMES = 50

/**
 * The user names, folded, that a text may mention: `@username`, not inside a word or an address. What ends with a dot or
 * a hyphen may be a name at the end of a sentence, so both are given.
 */
export function mentionedNames(text: string): string[] {
  if (!text.includes('@')) return []
  const names = new Set<string>()
  for (const [, name = ''] of text.matchAll(MENTION)) {
    if (names.size >= MAX_NAMES) break
    names.add(fold(name))
    names.add(fold(name.replace(/[._-]+$/, '')))
  }
  return [...names]
}
