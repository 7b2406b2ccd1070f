import type { Conversation, User } from '../protocol/types.ts'
import { clock } from './clock.ts'
import type { Conversations } from './conversations.ts'
import { find, make, part, setText, showRows } from './dom.ts'
import type { People } from './people.ts'
import type { Presences } from './presences.ts'

type Parts = {
  me: User
  conversations: Conversations
  people: People
  presences: Presences
  /** Who types there, in words; nothing where nobody does. */
  typing(conversation: string): string
  /** The conversation on screen, if one is. */
  openId(): string | undefined
}

/** The list of conversations. Each is a link, so that the browser's Back works and a reload keeps the place. */
export function conversationList({
  me,
  conversations,
  people,
  presences,
  typing,
  openId,
}: Parts): () => void {
  const list = find('conversations', HTMLElement)
  const empty = find('no-conversations', HTMLElement)
  const more = find('more-conversations', HTMLButtonElement)
  more.addEventListener('click', () => {
    more.disabled = true
    void conversations.loadMore().finally(() => {
      more.disabled = false
    })
  })
  const update = (row: HTMLElement, conversation: Conversation) => {
    const isOpen = conversation.id === openId()
    const link = part(row, 'conversation')
    if (isOpen) link.setAttribute('aria-current', 'true')
    else link.removeAttribute('aria-current')
    // What is on screen is about to be marked as read.
    const unread = isOpen && document.visibilityState === 'visible' ? 0 : conversation.unread_count
    setText(part(row, 'name'), people.titleOf(conversation))
    setText(part(row, 'preview'), typing(conversation.id) || preview(conversation, me, people))
    const { peer } = conversation
    part(row, 'online').hidden = !peer || presences.of(peer.id)?.status !== 'online'
    setText(part(row, 'time'), clock(conversation.last_message?.created_at ?? conversation.created_at))
    setText(part(row, 'unread-count'), unread > 0 ? String(unread) : '')
    part(row, 'unread').hidden = unread === 0
  }
  return () => {
    const all = conversations.list()
    showRows(list, all, { key: (each) => each.id, create, update })
    empty.hidden = all.length > 0
    more.hidden = !conversations.hasMore
    const unread = all.reduce((sum, each) => sum + (each.muted ? 0 : each.unread_count), 0)
    document.title = unread > 0 ? `(${unread}) Longwave` : 'Longwave'
  }
}

function create({ id }: Conversation): HTMLElement {
  return make(
    'li',
    { 'data-testid': 'conversation', 'data-conversation-id': id },
    make(
      'a',
      { class: 'conversation', href: `#${id}` },
      make(
        'span',
        { class: 'who' },
        make('span', { class: 'name', dir: 'auto' }),
        make('span', { class: 'online', role: 'img', 'aria-label': 'online', title: 'online', hidden: '' }),
      ),
      make('span', { class: 'time faint' }),
      make('span', { class: 'preview faint', dir: 'auto' }),
      make(
        'span',
        { class: 'unread' },
        make('span', { class: 'unread-count', 'data-testid': 'unread' }),
        make('span', { class: 'visually-hidden' }, ' unread'),
      ),
    ),
  )
}

function preview({ last_message: last, kind }: Conversation, me: User, people: People): string {
  if (!last) return 'No messages yet'
  const text = last.deleted_at ? 'Message deleted' : last.text.slice(0, 120).replace(/\s+/g, ' ')
  if (last.sender_id === me.id) return `You: ${text}`
  return kind === 'group' && last.sender_id !== null ? `${people.nameOf(last.sender_id)}: ${text}` : text
}
