import type { Message, User } from '../protocol/types.ts'
import { put, remove } from './api.ts'
import { attempt } from './attempt.ts'
import type { Composer } from './composer.ts'
import type { Known } from './conversation-events.ts'
import { find } from './dom.ts'
import { messageMenu } from './message-menu.ts'
import { excerpt, type RowParts } from './message-row.ts'
import type { People } from './people.ts'
import type { Thread } from './thread.ts'

type Parts = {
  me: User
  people: People
  composer: Composer
  opened(): { conversation: Known; thread: Thread } | undefined
}

/** What can be done with the messages on screen. What the server refuses is said above the field. */
export function messageActs({ me, people, composer, opened }: Parts): RowParts['acts'] {
  const notice = find('notice', HTMLElement)
  const pathOf = ({ conversation_id, seq }: Pick<Message, 'conversation_id' | 'seq'>) =>
    `/v1/conversations/${conversation_id}/messages/${seq}`
  const react = (seq: number, emoji: string, isOn: boolean) => {
    const id = opened()?.conversation.id ?? ''
    const path = `${pathOf({ conversation_id: id, seq })}/reactions/${encodeURIComponent(emoji)}`
    void attempt(notice, () => (isOn ? put(path) : remove(path)))
  }
  const mayRemove = ({ sender_id }: Message) => {
    const { kind, role } = opened()?.conversation ?? {}
    return sender_id === me.id || (kind === 'group' && role !== 'member')
  }
  const edit = (message: Message) =>
    void attempt(notice, async () =>
      composer.edit(message.seq, (await opened()?.thread.wholeText(message.seq)) ?? ''),
    )
  const prepareMenu = messageMenu({
    react: (seq, emoji) => react(seq, emoji, true),
    reply(message) {
      const name = message.sender_id === me.id ? 'yourself' : people.nameOf(message.sender_id ?? '')
      composer.reply(message.seq, `Reply to ${name}: ${excerpt(message)}`)
    },
    edit,
    remove(message) {
      if (confirm('Delete this message for everybody?')) void attempt(notice, () => remove(pathOf(message)))
    },
    mayEdit: ({ sender_id }) => sender_id === me.id,
    mayRemove,
  })
  return {
    react,
    unfold: (seq) => void opened()?.thread.unfold(seq),
    fillGap: (seq) => void opened()?.thread.fillGap(seq),
    jump: (seq) => void jump(seq, opened()?.thread),
    openMenu(seq, opener) {
      const message = opened()?.thread.get(seq)
      if (message) prepareMenu(message, opener)
    },
  }
}

async function jump(seq: number, thread: Thread | undefined): Promise<void> {
  await thread?.goTo(seq)
  const row = find('messages', HTMLElement).querySelector<HTMLElement>(`[data-seq="${seq}"]`)
  if (row) pointAt(row)
}

/** Brings a message into sight and marks it. */
export function pointAt(row: HTMLElement): void {
  for (const marked of document.querySelectorAll('.sought')) marked.classList.remove('sought')
  row.classList.add('sought')
  row.scrollIntoView({ block: 'center' })
  row.tabIndex = -1
  row.focus({ preventScroll: true })
}
