import { newKey } from '../client/client.ts'
import type { Conversation, User } from '../protocol/types.ts'
import { ApiError, post } from './api.ts'
import { button, find, make, setText } from './dom.ts'
import { personSearch } from './person-search.ts'

/** The dialog that makes a group of a title and some people. */
export function groupDialog(me: User, onMade: (conversation: Conversation) => void): void {
  const dialog = find('group-dialog', HTMLDialogElement)
  const form = find('group-form', HTMLFormElement)
  const error = find('group-error', HTMLElement)
  const title = find('group-title', HTMLInputElement)
  const picked = pickPeople(me)
  let key = newKey()
  find('new-group', HTMLButtonElement).addEventListener('click', () => {
    key = newKey()
    form.reset()
    picked.clear()
    setText(error, '')
    dialog.showModal()
  })
  find('group-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close())
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (picked.ids().length === 0) {
      setText(error, 'Find and pick at least one person.')
      return
    }
    const body = { kind: 'group', title: title.value.trim(), members: picked.ids() }
    // The key stays until the dialog is opened again: pressed twice, it is still one group.
    post<Conversation>('/v1/conversations', body, key).then(
      (conversation) => {
        dialog.close()
        onMade(conversation)
      },
      (cause: unknown) => {
        if (!(cause instanceof ApiError)) throw cause
        if (!cause.isTransient) key = newKey()
        setText(error, cause.message)
      },
    )
  })
}

function pickPeople(me: User) {
  const list = find('group-people', HTMLElement)
  const input = find('group-search', HTMLInputElement)
  const users = new Map<string, User>()
  const show = () =>
    list.replaceChildren(
      ...[...users.values()].map((user) => {
        const label = `Remove ${user.display_name}`
        const chip = button(
          `${user.display_name} ×`,
          { class: 'chip', dir: 'auto', 'aria-label': label },
          () => {
            users.delete(user.id)
            show()
            input.focus()
          },
        )
        return make('li', { 'data-testid': 'group-member' }, chip)
      }),
    )
  personSearch({
    input,
    results: find('group-results', HTMLElement),
    status: find('group-search-status', HTMLElement),
    me,
    onPick(user) {
      users.set(user.id, user)
      show()
      input.focus()
    },
  })
  return {
    ids: () => [...users.keys()],
    clear() {
      users.clear()
      show()
    },
  }
}
