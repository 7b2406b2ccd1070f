import type { Message, Reaction } from '../protocol/types.ts'
import { button, make, part, setText, showRows } from './dom.ts'
import type { People } from './people.ts'

/** Names beyond these are a number. */
const MAX_NAMES = 5

type Parts = {
  me: string
  people: People
  /** `isOn`: whether mine is to be there from now on. */
  react(seq: number, emoji: string, isOn: boolean): void
}

/** Whether I am among those of whom the message tells: the first 20. */
function isMine({ user_ids }: Reaction, me: string): boolean {
  return user_ids.includes(me)
}

/** The row of chips under a message, one for each emoji; a click adds mine or takes it back. */
export function showReactions(row: HTMLElement, message: Message, { me, people, react }: Parts): void {
  const shown = row.querySelector<HTMLElement>('.reactions')
  if (message.reactions.length === 0) {
    shown?.remove()
    return
  }
  // Off: else every count that changes is read out.
  const list = shown ?? make('ul', { class: 'reactions', 'aria-label': 'Reactions', 'aria-live': 'off' })
  if (!shown) part(row, 'foot').before(list)
  showRows(list, message.reactions, {
    key: (each) => each.emoji,
    create({ emoji }) {
      const chip = button('', { class: 'chip reaction' }, () => {
        react(message.seq, emoji, chip.getAttribute('aria-pressed') !== 'true')
      })
      chip.append(make('span', {}, emoji), make('span', { class: 'count' }))
      return make('li', { 'data-testid': 'reaction', 'data-emoji': emoji }, chip)
    },
    update(item, reaction) {
      const names = describe(reaction, me, people)
      const chip = part(item, 'reaction')
      chip.setAttribute('aria-pressed', String(isMine(reaction, me)))
      chip.setAttribute('aria-label', `${reaction.emoji} ${names}`)
      chip.title = names
      setText(part(item, 'count'), String(reaction.count))
    },
  })
}

function describe({ count, user_ids }: Reaction, me: string, people: People): string {
  const named = user_ids.slice(0, MAX_NAMES).map((id) => (id === me ? 'You' : people.nameOf(id)))
  const more = count - named.length
  return more > 0 ? `${named.join(', ')} and ${more} more` : named.join(', ')
}
