import type { Conversation, User } from '../protocol/types.ts'
import { ApiError, post } from './api.ts'
import { find, setText } from './dom.ts'
import { groupDialog } from './group-dialog.ts'
import { personSearch } from './person-search.ts'

/** Makes conversations: with one person found by name, or as a group. */
export function startConversation(me: User, onOpen: (conversation: Conversation) => void): void {
  const error = find('chat-error', HTMLElement)
  groupDialog(me, onOpen)
  personSearch({
    input: find('person-search', HTMLInputElement),
    results: find('people', HTMLElement),
    status: find('people-status', HTMLElement),
    me,
    onPick(user) {
      setText(error, '')
      // No key: with the same person it is always the same conversation.
      post<Conversation>('/v1/conversations', { kind: 'direct', members: [user.id] }).then(
        onOpen,
        (cause: unknown) => {
          if (!(cause instanceof ApiError)) throw cause
          setText(error, cause.message)
        },
      )
    },
  })
}
