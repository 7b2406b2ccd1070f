import type { Chat, OutboxItem } from '../client/client.ts'
import type { Message, User } from '../protocol/types.ts'
import type { Known } from './conversation-events.ts'
import { button, find, make, showRows } from './dom.ts'
import { createRow, type RowParts, updateRow } from './message-row.ts'
import type { People } from './people.ts'
import type { Receipts } from './receipts.ts'
import type { Thread } from './thread.ts'

/** What stands in the log: a message, one on its way, or the place of some that are not loaded. */
export type Item = {
  key: string
  message?: Message
  pending?: OutboxItem
  /** The message below which there is a gap is shown next. */
  gapBefore?: number
  namesSender: boolean
}

/** What is committed, then what is on its way. Never both of the same message. */
function itemsOf(conversation: Known, thread: Thread, me: User, outbox: Chat['outbox']): Item[] {
  const items: Item[] = []
  let last: string | null = null
  for (const [index, message] of thread.list().entries()) {
    if (index > 0 && thread.isAfterGap(message.seq)) {
      items.push({ key: `gap ${message.seq}`, gapBefore: message.seq, namesSender: false })
      last = null
    }
    const isMine = message.sender_id === me.id
    // A message keeps its row when it turns from pending to committed.
    const key = isMine && message.client_id !== null ? `mine ${message.client_id}` : message.id
    const namesSender = conversation.kind === 'group' && !isMine && message.sender_id !== last
    items.push({ key, message, namesSender })
    last = message.sender_id
  }
  const committed = new Set(items.map((item) => item.key))
  for (const pending of outbox.items) {
    const key = `mine ${pending.key}`
    if (pending.conversation_id === conversation.id && !committed.has(key))
      items.push({ key, pending, namesSender: false })
  }
  return items
}

type Parts = {
  me: User
  people: People
  outbox: Chat['outbox']
  receipts: Receipts
  acts: RowParts['acts']
}

/** The messages of the open conversation. Returns its render function. */
export function messageList({ me, people, outbox, receipts, acts }: Parts) {
  const list = find('messages', HTMLElement)
  moveAmongMenus(list)
  return (conversation: Known, thread: Thread): void => {
    const parts: RowParts = { me: me.id, people, outbox, receipts, acts, quoted: (seq) => thread.quoted(seq) }
    const items = itemsOf(conversation, thread, me, outbox)
    showRows(list, items, {
      key: (item) => item.key,
      create: (item) => (item.gapBefore === undefined ? createRow() : gapRow(item, acts)),
      update: (row, item) => {
        if (item.gapBefore === undefined) updateRow(row, item, parts)
      },
    })
    // One stop for the tab key; arrows go on from there.
    const menus = [...list.querySelectorAll<HTMLElement>('.message-menu-button')]
    const stop = menus.find((each) => each === document.activeElement) ?? menus.at(-1)
    for (const menu of menus) menu.tabIndex = menu === stop ? 0 : -1
  }
}

function gapRow({ gapBefore = 0 }: Item, acts: Parts['acts']): HTMLElement {
  return make(
    'li',
    { class: 'gap' },
    button('Messages between', {}, () => acts.fillGap(gapBefore)),
  )
}

function moveAmongMenus(list: HTMLElement): void {
  list.addEventListener('keydown', (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
    const menus = [...list.querySelectorAll<HTMLElement>('.message-menu-button')]
    const place = menus.indexOf(event.target as HTMLElement)
    if (step === undefined || place < 0) return
    event.preventDefault()
    const next = menus[place + step]
    if (!next) return
    for (const menu of menus) menu.tabIndex = menu === next ? 0 : -1
    next.focus()
  })
}
