import type { User } from '../protocol/types.ts'
import { clock } from './clock.ts'
import type { Known } from './conversation-events.ts'
import type { Conversations } from './conversations.ts'
import { find, make, part, setText, showRows } from './dom.ts'
import { excerpt } from './message-row.ts'
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
  isActive(): boolean
}

/** The list of conversations. Each is a link, so that the browser's Back works and a reload keeps the place. */
export function conversationList({
  me,
  conversations,
  people,
  presences,
  typing,
  openId,
  isActive,
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
  const none = empty.textContent ?? ''
  const hidden = hiddenSwitch(conversations)
  const update = (row: HTMLElement, conversation: Known) => {
    const isOpen = conversation.id === openId()
    const link = part(row, 'conversation')
    if (isOpen) link.setAttribute('aria-current', 'true')
    else link.removeAttribute('aria-current')
    // What is on screen is about to be marked as read.
    const isSeen = isOpen && isActive()
    const unread = isSeen ? 0 : conversation.unread_count
    const mentions = isSeen ? 0 : conversation.mention_count
    link.classList.toggle('muted', conversation.muted)
    setText(part(row, 'name'), people.titleOf(conversation))
    setText(part(row, 'preview'), typing(conversation.id) || preview(conversation, me, people))
    const { peer } = conversation
    part(row, 'online').hidden = !peer || presences.of(peer.id)?.status !== 'online'
    const time = clock(conversation.last_message?.created_at ?? conversation.created_at)
    setText(part(row, 'time'), conversation.muted ? `muted · ${time}` : time)
    setText(part(row, 'unread-count'), unread > 0 ? String(unread) : '')
    part(row, 'unread').hidden = unread === 0
    setText(part(row, 'mention-count'), mentions > 0 ? `@${mentions}` : '')
    part(row, 'mentioned').hidden = mentions === 0
  }
  return () => {
    const all = conversations.list()
    const isShown = (each: Known) => each.hidden === hidden.areShown() || each.id === openId()
    const shown = all.filter(isShown)
    showRows(list, shown, { key: (each) => each.id, create, update })
    setText(empty, hidden.areShown() ? 'None is hidden.' : none)
    empty.hidden = shown.length > 0
    more.hidden = !conversations.hasMore || hidden.areShown()
    const counts = all.map((each) => (each.muted || each.hidden ? 0 : each.unread_count))
    const unread = counts.reduce((sum, each) => sum + each, 0)
    document.title = unread > 0 ? `(${unread}) Longwave` : 'Longwave'
  }
}

function create({ id }: Known): HTMLElement {
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
        { class: 'counts' },
        badge('mentioned', 'mention-count', 'mentions', ' mentions '),
        badge('unread', 'unread-count', 'unread', ' unread'),
      ),
    ),
  )
}

function badge(name: string, count: string, testId: string, words: string): HTMLElement {
  return make(
    'span',
    { class: name },
    make('span', { class: count, 'data-testid': testId }),
    make('span', { class: 'visually-hidden' }, words),
  )
}

/** The button that shows the hidden ones instead. */
function hiddenSwitch(conversations: Conversations): { areShown(): boolean } {
  const pressed = find('hidden-conversations', HTMLButtonElement)
  const areShown = () => pressed.getAttribute('aria-pressed') === 'true'
  pressed.addEventListener('click', () => {
    pressed.setAttribute('aria-pressed', String(!areShown()))
    void conversations.loadHidden()
  })
  return { areShown }
}

function preview({ last_message: last, kind }: Known, me: User, people: People): string {
  if (!last) return 'No messages yet'
  const text = excerpt(last)
  if (last.sender_id === me.id) return `You: ${text}`
  return kind === 'group' && last.sender_id !== null ? `${people.nameOf(last.sender_id)}: ${text}` : text
}
