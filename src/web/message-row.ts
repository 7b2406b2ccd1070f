import type { Chat } from '../client/client.ts'
import type { Message } from '../protocol/types.ts'
import { dayAndTime, fullDate } from './clock.ts'
import { button, make, part, setText } from './dom.ts'
import { showText } from './mentions.ts'
import type { Item } from './message-list.ts'
import type { People } from './people.ts'
import { showReactions } from './reactions.ts'
import type { Receipts } from './receipts.ts'

/** What a row needs of the page, and what a click on it does. */
export type RowParts = {
  /** My id. */
  me: string
  people: People
  outbox: Chat['outbox']
  receipts: Receipts
  /** The message with this `seq`, if it is known. */
  quoted(seq: number): Message | undefined
  acts: {
    unfold(seq: number): void
    fillGap(seq: number): void
    jump(seq: number): void
    react(seq: number, emoji: string, isOn: boolean): void
    openMenu(seq: number, opener: HTMLElement): void
  }
}

export function createRow(): HTMLElement {
  return make(
    'li',
    { class: 'message', 'data-testid': 'message' },
    make('span', { class: 'sender', dir: 'auto' }),
    make('p', { class: 'text', dir: 'auto', 'data-testid': 'message-text' }),
    make('span', { class: 'foot faint' }, make('time'), make('span', { class: 'state' })),
  )
}

function quote(seq: number, acts: RowParts['acts']): HTMLElement {
  const made = button('', { class: 'quote', 'data-testid': 'quote' }, () => acts.jump(seq))
  made.append(
    make('span', { class: 'visually-hidden' }, 'In reply to '),
    make('span', { class: 'quoted-name', dir: 'auto' }),
    make('span', { class: 'quoted-text', dir: 'auto' }),
  )
  return made
}

export function updateRow(row: HTMLElement, item: Item, parts: RowParts): void {
  const { message, pending, namesSender } = item
  const { me, people, acts } = parts
  const sender = message ? message.sender_id : me
  const isMine = sender === me
  const isLive = message?.kind === 'user' && message.deleted_at === null
  row.classList.toggle('mine', isMine)
  row.classList.toggle('system', message?.kind === 'system')
  row.classList.toggle('deleted', Boolean(message?.deleted_at))
  row.classList.toggle('mentions-me', !isMine && message?.mentions.includes(me) === true)
  setText(part(row, 'sender'), isMine ? 'You' : sender === null ? '' : people.nameOf(sender))
  // Those who hear the page are always told who speaks.
  part(row, 'sender').classList.toggle('visually-hidden', !namesSender)
  const text = part(row, 'text')
  if (message && !message.deleted_at) showText(text, message, people, me)
  else setText(text, message ? 'Message deleted' : (pending?.text ?? ''))
  if (message) row.dataset.seq = String(message.seq)
  row.dataset.state = message ? 'sent' : pending?.failed === undefined ? 'pending' : 'failed'
  showQuote(row, item, parts)
  showFoot(row, item, isMine && message !== undefined && parts.receipts.reads(message))
  if (message) showReactions(row, message, { me, people, react: acts.react })
  const seq = message?.seq ?? 0
  showAction(row, 'unfold', message?.truncated === true, () => unfoldButton(seq, acts))
  showAction(row, 'failure', pending?.failed !== undefined, () => failure(item, parts.outbox))
  showAction(row, 'message-menu-button', isLive, () => menuButton(seq, acts))
}

function showQuote(
  row: HTMLElement,
  { message, pending }: Item,
  { quoted, people, me, acts }: RowParts,
): void {
  const seq = message ? message.reply_to : pending?.reply_to
  const shown = row.querySelector<HTMLElement>('.quote')
  if (!seq || message?.deleted_at) {
    shown?.remove()
    return
  }
  if (!shown) part(row, 'sender').after(quote(seq, acts))
  const original = quoted(seq)
  const name =
    original?.sender_id === me ? 'You' : original?.sender_id ? people.nameOf(original.sender_id) : ''
  setText(part(row, 'quoted-name'), name)
  setText(part(row, 'quoted-text'), original ? excerpt(original) : 'An earlier message')
}

/** A message in one line. */
export function excerpt({ text, deleted_at }: Pick<Message, 'text' | 'deleted_at'>): string {
  return deleted_at ? 'Message deleted' : text.slice(0, 120).replace(/\s+/g, ' ')
}

/** Puts something at the end of a row while it is called for. */
function showAction(row: HTMLElement, name: string, isDue: boolean, build: () => HTMLElement): void {
  const shown = row.querySelector(`.${name}`)
  if (isDue && !shown) row.append(build())
  else if (!isDue) shown?.remove()
}

function unfoldButton(seq: number, { unfold }: RowParts['acts']): HTMLElement {
  return button('Show all of it', { class: 'unfold link', 'data-testid': 'unfold' }, () => unfold(seq))
}

function menuButton(seq: number, { openMenu }: RowParts['acts']): HTMLElement {
  const attributes = {
    class: 'message-menu-button',
    'data-testid': 'message-menu',
    'aria-label': 'React, reply and more',
    'aria-haspopup': 'dialog',
    popovertarget: 'message-menu',
  }
  const made = button('⋯', attributes, () => openMenu(seq, made))
  return made
}

function failure({ pending }: Item, outbox: Chat['outbox']): HTMLElement {
  const key = pending?.key ?? ''
  return make(
    'span',
    { class: 'failure' },
    make('span', { class: 'reason', role: 'alert' }, `Not sent. ${pending?.failed?.reason} `),
    button('Try again', { class: 'link', 'data-testid': 'retry' }, () => outbox.retry(key)),
    button('Discard', { class: 'link', 'data-testid': 'discard' }, () => void outbox.discard(key)),
  )
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
  const isEdited = message?.edited_at && !message.deleted_at
  const words = [isEdited ? 'edited' : '', isRead ? 'read ✓' : ''].filter(Boolean)
  setText(part(row, 'state'), message ? words.map((word) => ` · ${word}`).join('') : 'Sending…')
}
