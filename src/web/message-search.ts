import type { FoundMessage, Snippet } from '../protocol/types.ts'
import { ApiError, get } from './api.ts'
import { dayAndTime } from './clock.ts'
import { button, find, make, setText } from './dom.ts'
import { pointAt } from './message-acts.ts'

const TYPING_PAUSE_MS = 250
/** How long a message is looked for in a conversation that is still being fetched. */
const PATIENCE_MS = 5_000

type Found = { messages: FoundMessage[]; next: string | null }
type Parts = { titleOf(conversation: string): string; onPick(message: FoundMessage): void }

/** Finds messages while their words are typed; picking one opens its conversation there. */
export function messageSearch({ titleOf, onPick }: Parts): void {
  const input = find('message-search', HTMLInputElement)
  const results = find('found', HTMLElement)
  const status = find('found-status', HTMLElement)
  let timer: ReturnType<typeof setTimeout> | undefined
  const show = (messages: FoundMessage[]) =>
    results.replaceChildren(
      ...messages.map((message) => {
        const row = button('', { class: 'person found', 'data-testid': 'found' }, () => onPick(message))
        row.append(
          make('span', { class: 'name', dir: 'auto' }, titleOf(message.conversation_id)),
          make('time', { class: 'faint', datetime: message.created_at }, dayAndTime(message.created_at)),
          make('span', { class: 'snippet', dir: 'auto' }, ...marked(message.snippet)),
        )
        return make('li', {}, row)
      }),
    )
  const search = async () => {
    const query = input.value.trim()
    const isStale = () => input.value.trim() !== query
    try {
      const { messages, next } = await get<Found>(`/v1/search?query=${encodeURIComponent(query)}`)
      if (isStale()) return
      show(messages)
      const count = `${messages.length}${next === null ? '' : ' newest'}`
      setText(status, messages.length === 0 ? 'Nothing found.' : `${count} found`)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (!isStale()) setText(status, error.message)
    }
  }
  const clear = () => {
    setText(status, '')
    show([])
  }
  input.addEventListener('input', () => {
    clearTimeout(timer)
    if (input.value.trim() === '') clear()
    else timer = setTimeout(() => void search(), TYPING_PAUSE_MS)
  })
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return
    input.value = ''
    clear()
  })
}

/** Text and marks as nodes: nothing of it is ever markup. */
function marked({ text, highlights }: Snippet): (Node | string)[] {
  const characters = Array.from(text)
  const nodes: (Node | string)[] = []
  let end = 0
  for (const [from, to] of highlights) {
    nodes.push(characters.slice(end, from).join(''), make('mark', {}, characters.slice(from, to).join('')))
    end = to
  }
  return [...nodes, characters.slice(end).join('')]
}

/** Scrolls to a message as soon as it is on screen, and marks it; not if meanwhile something else is wanted. */
export function showMessage(seq: number, isWanted: () => boolean): void {
  const until = performance.now() + PATIENCE_MS
  const look = () => {
    if (!isWanted() || performance.now() > until) return
    const row = find('messages', HTMLElement).querySelector<HTMLElement>(`[data-seq="${seq}"]`)
    if (!row) return void requestAnimationFrame(look)
    pointAt(row)
  }
  requestAnimationFrame(look)
}
