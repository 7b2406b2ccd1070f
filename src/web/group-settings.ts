import type { Member, Role, User } from '../protocol/types.ts'
import { patch, put, remove } from './api.ts'
import { attempt } from './attempt.ts'
import type { Known } from './conversation-events.ts'
import { button, find, make, part, setText, showRows } from './dom.ts'
import type { Members } from './members.ts'
import { personSearch } from './person-search.ts'

const ROLES: Record<Role, string> = { member: 'Member', admin: 'Admin', owner: 'Owner' }

type Parts = { me: User; members: Members; open(): Known | undefined }

/** The dialog of a group that is there: title, members, roles, leaving. */
export function groupSettings({ me, members, open }: Parts): { show(): void; render(): void } {
  const dialog = find('settings', HTMLDialogElement)
  const title = find('settings-title', HTMLInputElement)
  const system = find('settings-system', HTMLInputElement)
  const error = find('settings-error', HTMLElement)
  /** The group that it was opened for, whatever is on screen by now. */
  let group: Known | undefined
  const path = () => `/v1/conversations/${group?.id}`
  const memberPath = (id: string) => `${path()}/members/${encodeURIComponent(id)}`
  const act = (request: () => Promise<unknown>) => attempt(error, request).finally(() => render())

  find('settings-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault()
    void act(() => patch(path(), { title: title.value.trim() || null }))
  })
  system.addEventListener('change', () => void act(() => patch(path(), { system_messages: system.checked })))
  find('settings-close', HTMLButtonElement).addEventListener('click', () => dialog.close())
  find('leave', HTMLButtonElement).addEventListener('click', () => {
    if (!confirm('Leave this group? Its messages will be gone for you.')) return
    void attempt(error, () => remove(memberPath('me'))).then((isDone) => isDone && dialog.close())
  })
  personSearch({
    input: find('settings-search', HTMLInputElement),
    results: find('settings-results', HTMLElement),
    status: find('settings-search-status', HTMLElement),
    me,
    onPick: (user) => void act(() => put(memberPath(user.id))),
  })
  const changeRole = (id: string, role: Role) => {
    if (role !== 'owner' || confirm('Hand the group over? You become an admin.')) {
      void act(() => put(memberPath(id), { role }))
    } else render()
  }
  const drop = (id: string) => void act(() => remove(memberPath(id)))

  const render = () => {
    if (!group || !dialog.open) return
    const { id, role: own } = group
    if (open()?.id !== id) {
      dialog.close()
      return
    }
    const isMember = own === 'member'
    title.disabled = isMember
    system.disabled = isMember
    system.checked = group.system_messages
    find('settings-add', HTMLElement).hidden = isMember
    showRows(find('members', HTMLElement), members.of(id), {
      key: (each) => each.user_id,
      create: (member) => createMember(member, changeRole, drop),
      update: (row, member) => updateMember(row, member, me.id, own),
    })
  }
  return {
    render,
    show() {
      group = open()
      title.value = group?.title ?? ''
      setText(error, '')
      dialog.showModal()
      render()
    },
  }
}

function createMember(
  { user_id, display_name }: Member,
  changeRole: (id: string, role: Role) => void,
  drop: (id: string) => void,
): HTMLElement {
  const options = Object.entries(ROLES).map(([value, name]) => make('option', { value }, name))
  const role = make('select', { 'aria-label': `Role of ${display_name}` }, ...options)
  role.addEventListener('change', () => changeRole(user_id, role.value as Role))
  return make(
    'li',
    { class: 'member', 'data-testid': 'member' },
    make('span', { class: 'name', dir: 'auto' }),
    role,
    make('span', { class: 'role faint' }),
    button('Remove', { class: 'drop link', 'aria-label': `Remove ${display_name}` }, () => drop(user_id)),
  )
}

function updateMember(
  row: HTMLElement,
  { user_id, display_name, role }: Member,
  me: string,
  own: Role,
): void {
  const isMe = user_id === me
  const select = row.querySelector('select')
  if (select) {
    select.hidden = own !== 'owner' || isMe
    select.value = role
  }
  setText(part(row, 'name'), isMe ? `${display_name} (you)` : display_name)
  setText(part(row, 'role'), ROLES[role])
  part(row, 'role').hidden = own === 'owner' && !isMe
  part(row, 'drop').hidden = isMe || !(own === 'owner' || (own === 'admin' && role === 'member'))
}
