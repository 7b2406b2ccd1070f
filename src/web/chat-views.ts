import type { Conversation, User } from '../protocol/types.ts'
import { composer } from './composer.ts'
import { conversationList } from './conversation-list.ts'
import { conversationView } from './conversation-view.ts'
import type { Conversations } from './conversations.ts'
import { find, setText } from './dom.ts'
import { messageList } from './message-list.ts'
import type { Outbox } from './outbox.ts'
import type { People } from './people.ts'
import { readMarks } from './read-marks.ts'
import type { Thread } from './thread.ts'

type Parts = {
  me: User
  people: People
  conversations: Conversations
  outbox: Outbox
  /** What is on screen, if anything is. */
  opened(): { conversation: Conversation; thread: Thread } | undefined
}

/** List, messages and composer. Returns what renders them all. */
export function chatViews({ me, people, conversations, outbox, opened }: Parts): () => void {
  setText(find('me', HTMLElement), me.display_name)
  const openId = () => opened()?.conversation.id
  const showList = conversationList({ me, conversations, people, openId })
  const showConversation = conversationView({
    titleOf: (conversation) => people.titleOf(conversation),
    showMessages: messageList({ me, people, outbox }),
  })
  const field = composer((text) => {
    const id = openId()
    if (id !== undefined) outbox.add(id, text)
  })
  const markRead = readMarks(() => opened()?.conversation)
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
