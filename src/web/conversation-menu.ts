import type { User } from '../protocol/types.ts'
import { ApiError, get, patch, put, remove } from './api.ts'
import { attempt } from './attempt.ts'
import type { Known } from './conversation-events.ts'
import { find, setText } from './dom.ts'
import { place } from './popovers.ts'

type Parts = { open(): Known | undefined; openSettings(): void }

/** The menu of the open conversation: its group, mute, hide, block. What the server refuses is said above the field. */
export function conversationMenu({ open, openSettings }: Parts): void {
  const menu = find('conversation-menu', HTMLElement)
  const notice = find('notice', HTMLElement)
  const opener = find('conversation-menu-button', HTMLButtonElement)
  const [settings, mute, hide, block] = ['group-settings', 'mute', 'hide', 'block'].map((id) =>
    find(id, HTMLButtonElement),
  ) as [HTMLButtonElement, HTMLButtonElement, HTMLButtonElement, HTMLButtonElement]
  const onClick = (pressed: HTMLButtonElement, act: (conversation: Known) => unknown) =>
    pressed.addEventListener('click', () => {
      menu.hidePopover()
      const conversation = open()
      if (conversation) void attempt(notice, async () => act(conversation))
    })
  opener.addEventListener('click', () => {
    const conversation = open()
    if (!conversation) return
    settings.hidden = conversation.kind !== 'group'
    setText(mute, conversation.muted ? 'Unmute' : 'Mute')
    setText(hide, conversation.hidden ? 'Show in the list' : 'Hide until something new comes')
    void showBlock(block, conversation)
    place(menu, opener)
  })
  onClick(settings, openSettings)
  onClick(mute, ({ id, muted }) => patch(`/v1/conversations/${id}`, { muted: !muted }))
  onClick(hide, async ({ id, hidden }) => {
    await patch(`/v1/conversations/${id}`, { hidden: !hidden })
    if (!hidden && open()?.id === id) location.hash = 'list'
  })
  onClick(block, ({ peer }) => {
    const path = `/v1/users/me/blocks/${encodeURIComponent(peer?.id ?? '')}`
    return block.dataset.blocked === 'true' ? remove(path) : put(path)
  })
}

/** Another device may have changed it: it is asked for each time, and not offered where that cannot be known. */
async function showBlock(block: HTMLButtonElement, { peer }: Known): Promise<void> {
  block.hidden = peer === undefined
  block.disabled = true
  setText(block, 'Block')
  if (!peer) return
  try {
    const isBlocked = await blocks(peer.id)
    block.dataset.blocked = String(isBlocked)
    setText(block, isBlocked ? 'Unblock' : 'Block')
    block.disabled = false
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    block.hidden = true
  }
}

async function blocks(id: string): Promise<boolean> {
  for (let after = ''; ; ) {
    type Page = { users: User[]; next: string | null }
    const query = after && `?after=${encodeURIComponent(after)}`
    const { users, next } = await get<Page>(`/v1/users/me/blocks${query}`)
    if (users.some((user) => user.id === id)) return true
    if (next === null) return false
    after = next
  }
}
