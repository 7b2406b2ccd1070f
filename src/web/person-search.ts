import type { User } from '../protocol/types.ts'
import { ApiError, get } from './api.ts'
import { button, make, setText } from './dom.ts'

const TYPING_PAUSE_MS = 200

type Parts = {
  input: HTMLInputElement
  results: HTMLElement
  /** Says how many were found; a live region. */
  status: HTMLElement
  me: User
  onPick(user: User): void
}

/** Finds people by the beginning of their name while it is typed. Enter picks the first. */
export function personSearch(parts: Parts): void {
  const { input, results } = parts
  let timer: ReturnType<typeof setTimeout> | undefined
  input.addEventListener('input', () => {
    clearTimeout(timer)
    if (input.value.trim() === '') show(parts, [])
    else timer = setTimeout(() => void search(parts), TYPING_PAUSE_MS)
  })
  input.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') clear(parts)
    if (event.key !== 'Enter') return
    event.preventDefault()
    results.querySelector('button')?.click()
  })
}

async function search(parts: Parts): Promise<void> {
  const name = parts.input.value.trim()
  const isStale = () => parts.input.value.trim() !== name
  try {
    const { users } = await get<{ users: User[] }>(`/v1/users?limit=20&query=${encodeURIComponent(name)}`)
    if (isStale()) return
    const others = users.filter((user) => user.id !== parts.me.id)
    show(parts, others)
    setText(
      parts.status,
      others.length === 0 ? 'Nobody else’s name begins like that.' : `${others.length} found`,
    )
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    if (!isStale()) setText(parts.status, error.message)
  }
}

function show(parts: Parts, users: User[]): void {
  setText(parts.status, '')
  parts.results.replaceChildren(
    ...users.map((user) => {
      const row = button('', { class: 'person', 'data-testid': 'person' }, () => {
        clear(parts)
        parts.onPick(user)
      })
      row.append(make('span', { class: 'name', dir: 'auto' }, user.display_name))
      if (user.username !== null) row.append(make('span', { class: 'faint' }, `@${user.username}`))
      return make('li', {}, row)
    }),
  )
}

function clear(parts: Parts): void {
  parts.input.value = ''
  show(parts, [])
}
