import type { Chat } from '../client/client.ts'
import type { User } from '../protocol/types.ts'
import { mentionCompletion } from './completion.ts'
import { Composer } from './composer.ts'
import type { Known } from './conversation-events.ts'
import { conversationList } from './conversation-list.ts'
import { conversationMenu } from './conversation-menu.ts'
import { conversationView } from './conversation-view.ts'
import type { Conversations } from './conversations.ts'
import { find, setText } from './dom.ts'
import { groupSettings } from './group-settings.ts'
import { lastActive } from './last-active.ts'
import type { Members } from './members.ts'
import { messageActs } from './message-acts.ts'
import { messageList } from './message-list.ts'
import type { People } from './people.ts'
import type { Presences } from './presences.ts'
import { readMarks } from './read-marks.ts'
import type { Receipts } from './receipts.ts'
import type { Thread } from './thread.ts'
import { type Typists, typingNotice } from './typists.ts'

type Parts = {
  me: User
  people: People
  members: Members
  conversations: Conversations
  chat: Chat
  presences: Presences
  typists: Typists
  receipts: Receipts
  /** What is on screen, if anything is. */
  opened(): { conversation: Known; thread: Thread } | undefined
}

/** Under the title: who the other one is and whether they are there, or how many people there are. */
function detailOf({ kind, peer, members_count }: Known, { people, presences }: Parts): string {
  if (kind === 'group') return `${members_count} ${members_count === 1 ? 'person' : 'people'}`
  const state = peer && presences.of(peer.id)
  const username = peer && people.userOf(peer.id)?.username
  return [username && `@${username}`, state && lastActive(state)].filter(Boolean).join(' · ')
}

function typingWords(typists: readonly string[], people: People): string {
  const [first] = typists
  if (first === undefined) return ''
  return typists.length === 1 ? `${people.nameOf(first)} is typing…` : `${typists.length} people are typing…`
}

/** List, messages and composer. Returns what renders them all. */
export function chatViews(parts: Parts): () => void {
  const { me, people, members, conversations, presences, typists, opened } = parts
  const open = () => opened()?.conversation
  const composer = composerOf(parts)
  const acts = messageActs({ me, people, opened, composer })
  const openId = () => open()?.id
  const isActive = () => parts.chat.isActive
  const typing = (id: string) => typingWords(typists.of(id), people)
  const showList = conversationList({ me, conversations, people, presences, typing, openId, isActive })
  const showConversation = conversationView({
    titleOf: (conversation) => people.titleOf(conversation),
    detailOf: (conversation) => detailOf(conversation, parts),
    typing,
    showMessages: messageList({ ...parts, outbox: parts.chat.outbox, acts }),
  })
  const settings = groupSettings({ me, members, open })
  conversationMenu({ open, openSettings: settings.show })
  const markRead = readMarks(open, isActive)
  let shown: string | undefined
  return () => {
    const now = opened()
    find('chat', HTMLElement).dataset.view = now ? 'conversation' : 'list'
    find('conversation', HTMLElement).hidden = !now
    find('nothing-open', HTMLElement).hidden = now !== undefined
    if (now?.conversation.id !== shown) setText(find('notice', HTMLElement), '')
    shown = now?.conversation.id
    if (now) {
      composer.switchTo(now.conversation.id)
      showConversation(now.conversation, now.thread)
      markRead()
    }
    showList()
    settings.render()
  }
}

function composerOf({ me, people, members, chat, opened }: Parts): Composer {
  // First to hear the keys.
  mentionCompletion(() => {
    const id = opened()?.conversation.id
    const others = id === undefined ? [] : members.of(id).filter(({ user_id }) => user_id !== me.id)
    return others.flatMap(({ user_id }) => people.userOf(user_id) ?? [])
  })
  const composer = new Composer(me.id, {
    send(text, reply_to) {
      const id = opened()?.conversation.id
      // What becomes of it the outbox shows.
      if (id !== undefined) chat.send(id, text, { reply_to }).catch(() => {})
    },
    typed: typingNotice(() => opened()?.conversation.id),
    edit: async (seq, text) => opened()?.thread.edit(seq, text),
    editLast() {
      const thread = opened()?.thread
      const last = thread?.findLast(({ sender_id, deleted_at }) => sender_id === me.id && deleted_at === null)
      // What is too long to be here in full is edited by its menu.
      if (last && !last.truncated) composer.edit(last.seq, last.text)
    },
  })
  return composer
}
