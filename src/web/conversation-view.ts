import type { Known } from './conversation-events.ts'
import { find, setText } from './dom.ts'
import { scrollPlace } from './scroll-place.ts'
import type { Thread } from './thread.ts'

type Parts = {
  titleOf(conversation: Known): string
  detailOf(conversation: Known): string
  /** Who types there, in words; nothing where nobody does. */
  typing(conversation: string): string
  showMessages(conversation: Known, thread: Thread): void
}

/** The open conversation around its messages: title, older ones, place on the scroll. Returns its render function. */
export function conversationView({ titleOf, detailOf, typing, showMessages }: Parts) {
  const older = find('older', HTMLButtonElement)
  const keepPlace = scrollPlace()
  let shown: Thread | undefined
  older.addEventListener('click', () => void (shown && readOlder(shown, older)))
  return (conversation: Known, thread: Thread) => {
    const isOther = thread !== shown
    shown = thread
    keepPlace(() => {
      older.hidden = thread.state !== 'failed' && !thread.hasOlder
      setText(older, thread.state === 'failed' ? 'Try again' : 'Older messages')
      showMessages(conversation, thread)
      setText(find('conversation-title', HTMLElement), titleOf(conversation))
      setText(find('conversation-detail', HTMLElement), detailOf(conversation))
      setText(find('typing', HTMLElement), typing(conversation.id))
      describe(thread)
    }, isOther)
  }
}

async function readOlder(thread: Thread, older: HTMLButtonElement): Promise<void> {
  older.disabled = true
  await (thread.state === 'failed' ? thread.load() : thread.loadOlder())
  older.disabled = false
}

function describe(thread: Thread): void {
  setText(find('thread-trouble', HTMLElement), thread.trouble)
  find('log', HTMLElement).setAttribute('aria-busy', String(thread.state === 'loading'))
  find('nothing-yet', HTMLElement).hidden =
    thread.state !== 'ready' || find('messages', HTMLElement).childElementCount > 0
}
