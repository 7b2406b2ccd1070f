import type { Message } from '../protocol/types.ts'
import { button, find } from './dom.ts'
import { place } from './popovers.ts'

/** The eight that are a click away; any other is typed. */
const EMOJIS = ['👍', '❤️', '😂', '🎉', '😮', '😢', '🙏', '👀']

type Parts = {
  react(seq: number, emoji: string): void
  reply(message: Message): void
  edit(message: Message): void
  remove(message: Message): void
  /** Whether I may, as its sender or as an admin. */
  mayEdit(message: Message): boolean
  mayRemove(message: Message): boolean
}

/** The menu of a message, one for all of them. Returns what gets it ready while its button is being pressed. */
export function messageMenu(parts: Parts): (message: Message, opener: HTMLElement) => void {
  const menu = find('message-menu', HTMLElement)
  const typed = find('emoji', HTMLInputElement)
  let current: Message | undefined
  const choose = (act: (message: Message) => void) => () => {
    menu.hidePopover()
    if (current) act(current)
  }
  const react = (emoji: string) => choose(({ seq }) => parts.react(seq, emoji))
  find('emojis', HTMLElement).append(
    ...EMOJIS.map((emoji) => button(emoji, { 'aria-label': `React with ${emoji}` }, react(emoji))),
  )
  find('emoji-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault()
    const emoji = typed.value.trim()
    if (emoji !== '') react(emoji)()
  })
  find('reply', HTMLButtonElement).addEventListener('click', choose(parts.reply))
  find('edit', HTMLButtonElement).addEventListener('click', choose(parts.edit))
  find('delete', HTMLButtonElement).addEventListener('click', choose(parts.remove))
  return (message, opener) => {
    // Open for another message it moves here.
    if (current !== message && menu.matches(':popover-open')) menu.hidePopover()
    current = message
    typed.value = ''
    find('edit', HTMLButtonElement).hidden = !parts.mayEdit(message)
    find('delete', HTMLButtonElement).hidden = !parts.mayRemove(message)
    place(menu, opener)
  }
}
