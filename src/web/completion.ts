import type { User } from '../protocol/types.ts'
import { find, make } from './dom.ts'

const MOST = 6

/** Completes `@` in the message field by user names of `people()`: arrows choose, Enter or Tab takes, Escape leaves it. */
export function mentionCompletion(people: () => User[]): void {
  const field = find('message-text', HTMLTextAreaElement)
  const list = find('completions', HTMLElement)
  let chosen = 0
  const close = () => {
    list.hidden = true
    list.replaceChildren()
    field.removeAttribute('aria-activedescendant')
  }
  const choose = (index: number) => {
    chosen = (index + list.children.length) % list.children.length
    for (const [place, option] of [...list.children].entries()) {
      option.setAttribute('aria-selected', String(place === chosen))
    }
    field.setAttribute('aria-activedescendant', `completion-${chosen}`)
    list.children[chosen]?.scrollIntoView({ block: 'nearest' })
  }
  const take = (username: string) => {
    const begun = begunName(field)
    close()
    if (begun === undefined) return
    field.setRangeText(`${username} `, field.selectionStart - begun.length, field.selectionStart, 'end')
    field.focus()
  }
  field.addEventListener('input', () => {
    const begun = begunName(field)
    const found = begun === undefined ? [] : matching(people(), begun)
    if (found.length === 0) {
      close()
      return
    }
    list.replaceChildren(...found.map((user, place) => option(user, place, take)))
    list.hidden = false
    choose(0)
  })
  field.addEventListener('blur', close)
  // Before the composer, which would send.
  field.addEventListener(
    'keydown',
    (event) => {
      if (list.hidden || event.isComposing) return
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key]
      if (step !== undefined) choose(chosen + step)
      else if (event.key === 'Escape') close()
      else if (event.key === 'Enter' || event.key === 'Tab')
        take((list.children[chosen] as HTMLElement).dataset.username ?? '')
      else return
      event.preventDefault()
    },
    { capture: true },
  )
}

/** What stands between an `@` and the place of writing. */
function begunName({ value, selectionStart }: HTMLTextAreaElement): string | undefined {
  return /(?:^|[^\p{L}\p{N}_.+-])@([A-Za-z0-9._-]*)$/u.exec(value.slice(0, selectionStart))?.[1]
}

function matching(people: User[], begun: string): User[] {
  const start = begun.toLowerCase()
  const fits = ({ username, display_name }: User) =>
    username !== null && [username, display_name].some((name) => name.toLowerCase().startsWith(start))
  return people.filter(fits).slice(0, MOST)
}

function option(
  { username, display_name }: User,
  place: number,
  take: (username: string) => void,
): HTMLElement {
  const attributes = { id: `completion-${place}`, role: 'option', 'data-username': username ?? '' }
  const name = make('span', { dir: 'auto' }, display_name)
  const made = make('div', attributes, name, make('span', { class: 'faint' }, `@${username}`))
  // The field keeps the focus.
  made.addEventListener('pointerdown', (event) => {
    event.preventDefault()
    take(username ?? '')
  })
  return made
}
