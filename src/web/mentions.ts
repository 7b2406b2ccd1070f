import type { Message } from '../protocol/types.ts'
import { make } from './dom.ts'
import type { People } from './people.ts'

/** As the server finds them: not inside a word or an address. */
const MENTION = /(?<![\p{L}\p{N}_.+-])@([A-Za-z0-9][A-Za-z0-9._-]{0,63})/gu

/** Writes a message's text, those mentioned in it marked; `me` stands out. Nothing is touched that stays as it was. */
export function showText(element: HTMLElement, message: Message, people: People, me: string): void {
  const names = new Map<string, string>()
  for (const id of message.mentions) {
    const name = people.userOf(id)?.username
    if (name) names.set(name.toLowerCase(), id)
  }
  const marked = [...names.keys()].join(' ')
  if (element.textContent === message.text && (element.dataset.marked ?? '') === marked) return
  element.dataset.marked = marked
  element.replaceChildren(...partsOf(message.text, names, me))
}

function partsOf(text: string, names: Map<string, string>, me: string): (Node | string)[] {
  if (names.size === 0) return [text]
  const parts: (Node | string)[] = []
  let end = 0
  for (const { 1: found = '', index } of text.matchAll(MENTION)) {
    // What ends with a dot or a hyphen may be a name at the end of a sentence.
    const name = [found, found.replace(/[._-]+$/, '')].find((each) => names.has(each.toLowerCase()))
    if (name === undefined) continue
    const isMe = names.get(name.toLowerCase()) === me
    const until = index + 1 + name.length
    const mark = make('mark', { class: isMe ? 'mention me' : 'mention' }, text.slice(index, until))
    parts.push(text.slice(end, index), mark)
    end = until
  }
  return [...parts, text.slice(end)]
}
