import type { Conversation, User } from '../protocol/types.ts'
import { composer } from './composer.ts'
import { conversationList } from './conversation-list.ts'
import { conversationView } from './conversation-view.ts'
import type { Conversations } from './conversations.ts'
import { find, setText } from './dom.ts'
import { lastActive } from './last-active.ts'
import { messageList } from './message-list.ts'
import type { Outbox } from './outbox.ts'
import type { People } from './people.ts'
import type { Presences } from './presences.ts'
import { readMarks } from './read-marks.ts'
import type { Receipts } from './receipts.ts'
import type { Thread } from './thread.ts'
import { type Typists, typingNotice } from './typists.ts'

type Parts = {
  me: User
  people: People
  conversations: Conversations
  outbox: Outbox
  presences: Presences
  typists: Typists
  receipts: Receipts
  /** What is on screen, if anything is. */
  opened(): { conversation: Conversation; thread: Thread } | undefined
}

/** Under the title: who the other one is and whether they are there, or how many people there are. */
function detailOf({ kind, peer, members_count }: Conversation, presences: Presences): string {
  if (kind === 'group') return `${members_count} ${members_count === 1 ? 'person' : 'people'}`
  const state = peer && presences.of(peer.id)
  const name = peer?.username ? `@${peer.username}` : ''
  return [name, state && lastActive(state)].filter(Boolean).join(' · ')
}

function typingWords(typists: readonly string[], people: People): string {
  const [first] = typists
  if (first === undefined) return ''
  return typists.length === 1 ? `${people.nameOf(first)} is typing…` : `${typists.length} people are typing…`
}

/** List, messages and composer. Returns what renders them all. */
export function chatViews(parts: Parts): () => void {
  const { me, people, conversations, outbox, presences, typists, receipts, opened } = parts
  setText(find('me', HTMLElement), me.display_name)
  const openId = () => opened()?.conversation.id
  const typing = (id: string) => typingWords(typists.of(id), people)
  const showList = conversationList({ me, conversations, people, presences, typing, openId })
  const showConversation = conversationView({
    titleOf: (conversation) => people.titleOf(conversation),
    detailOf: (conversation) => detailOf(conversation, presences),
    typing,
    showMessages: messageList({ me, people, outbox, receipts }),
  })
  const field = composer((text) => {
    const open = opened()
    if (!open) return
    // What one says stands at the end: there one looks.
    if (open.thread.hasNewer) void open.thread.load()
    outbox.add(open.conversation.id, text)
  }, typingNotice(openId))
  const markRead = readMarks(() => {
    const open = opened()
    return open?.thread.hasNewer ? undefined : open?.conversation
  })
  return () => {
    const open = opened()
    find('chat', HTMLElement).dataset.view = open ? 'conversation' : 'list'
    find('conversation', HTMLElement).hidden = !open
    find('nothing-open', HTMLElement).hidden = open !== undefined
    if (open) {
      field.switchTo(open.conversation.id)
      showConversation(open.conversation, open.thread)
      markRead()
    }
    showList()
  }
}
