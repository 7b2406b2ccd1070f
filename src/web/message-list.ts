import type { Conversation, Message, User } from '../protocol/types.ts'
import { dayAndTime, fullDate } from './clock.ts'
import { button, find, make, part, setText, showRows } from './dom.ts'
import type { Outbox } from './outbox.ts'
import type { Pending } from './outbox-storage.ts'
import type { People } from './people.ts'
import type { Receipts } from './receipts.ts'
import type { Thread } from './thread.ts'

type Item = { key: string; message?: Message; pending?: Pending; namesSender: boolean }
type Parts = { me: User; people: People; outbox: Outbox; receipts: Receipts }

/** What stands in the log: what is committed, then what is on its way. Never both of the same message. */
function itemsOf(conversation: Conversation, thread: Thread, { me, outbox }: Parts): Item[] {
  const items: Item[] = []
  let last: string | null = null
  for (const message of thread.list()) {
    const isMine = message.sender_id === me.id
    // A message keeps its row when it turns from pending to committed.
    const key = isMine && message.client_id !== null ? `mine ${message.client_id}` : message.id
    const namesSender = conversation.kind === 'group' && !isMine && message.sender_id !== last
    items.push({ key, message, namesSender })
    last = message.sender_id
  }
  const committed = new Set(items.map((item) => item.key))
  for (const pending of outbox.of(conversation.id)) {
    const key = `mine ${pending.client_id}`
    if (!committed.has(key)) items.push({ key, pending, namesSender: false })
  }
  return items
}

export function messageList(parts: Parts): (conversation: Conversation, thread: Thread) => void {
  const list = find('messages', HTMLElement)
  let current: Thread | undefined
  const unfold = (seq: number) => void current?.unfold(seq)
  return (conversation, thread) => {
    current = thread
    showRows(list, itemsOf(conversation, thread, parts), {
      key: (item) => item.key,
      create,
      update: (row, item) => {
        update(row, item, parts)
        showAction(row, 'unfold', item.message?.truncated === true, () => unfoldButton(item, unfold))
        showAction(row, 'failure', item.pending?.failed !== undefined, () => failure(item, parts.outbox))
      },
    })
  }
}

function create(): HTMLElement {
  return make(
    'li',
    { class: 'message', 'data-testid': 'message' },
    make('span', { class: 'sender', dir: 'auto' }),
    make('p', { class: 'text', dir: 'auto', 'data-testid': 'message-text' }),
    make('span', { class: 'foot faint' }, make('time'), make('span', { class: 'state' })),
  )
}

/** Puts something at the end of a row while it is called for. */
function showAction(row: HTMLElement, name: string, isDue: boolean, build: () => HTMLElement): void {
  const shown = row.querySelector(`.${name}`)
  if (isDue && !shown) row.append(build())
  else if (!isDue) shown?.remove()
}

function unfoldButton({ message }: Item, unfold: (seq: number) => void): HTMLElement {
  return button('Show all of it', { class: 'unfold link', 'data-testid': 'unfold' }, () =>
    unfold(message?.seq ?? 0),
  )
}

function failure({ pending }: Item, outbox: Outbox): HTMLElement {
  const id = pending?.client_id ?? ''
  return make(
    'span',
    { class: 'failure' },
    make('span', { class: 'reason', role: 'alert' }, `Not sent. ${pending?.failed} `),
    button('Try again', { class: 'link', 'data-testid': 'retry' }, () => outbox.retry(id)),
    button('Discard', { class: 'link', 'data-testid': 'discard' }, () => outbox.drop(id)),
  )
}

function update(row: HTMLElement, item: Item, { me, people, receipts }: Parts): void {
  const { message, pending, namesSender } = item
  const sender = message ? message.sender_id : me.id
  const isMine = sender === me.id
  const name = isMine ? 'You' : sender === null ? '' : people.nameOf(sender)
  row.classList.toggle('mine', isMine)
  row.classList.toggle('system', message?.kind === 'system')
  row.classList.toggle('deleted', Boolean(message?.deleted_at))
  setText(part(row, 'sender'), name)
  // Those who hear the page are always told who speaks.
  part(row, 'sender').classList.toggle('visually-hidden', !namesSender)
  setText(part(row, 'text'), message?.deleted_at ? 'Message deleted' : (message?.text ?? pending?.text ?? ''))
  if (message) row.dataset.seq = String(message.seq)
  row.dataset.state = message ? 'sent' : pending?.failed === undefined ? 'pending' : 'failed'
  showFoot(row, item, isMine && message !== undefined && receipts.reads(message))
}

function showFoot(row: HTMLElement, { message, pending }: Item, isRead: boolean): void {
  const foot = part(row, 'foot')
  const time = foot.querySelector('time')
  foot.hidden = pending?.failed !== undefined
  if (time && message && time.dateTime !== message.created_at) {
    time.dateTime = message.created_at
    time.title = fullDate(message.created_at)
    setText(time, dayAndTime(message.created_at))
  }
  const words = [message?.edited_at ? 'edited' : '', isRead ? 'read ✓' : ''].filter(Boolean)
  setText(part(row, 'state'), message ? words.map((word) => ` · ${word}`).join('') : 'Sending…')
}
