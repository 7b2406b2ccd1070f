import type { User } from '../protocol/types.ts'
import { ApiError, get, remove } from './api.ts'
import { insist } from './backoff.ts'

/** Who is signed in here, an id and no secret: so that other tabs learn when it changes. */
const USER = 'longwave.user'
const NOTICE = 'longwave.notice'

/** Whom the cookie belongs to, if it is any good. Waits for the server as long as it takes. */
export async function whoAmI(onTrouble?: (error: ApiError) => void): Promise<User | undefined> {
  try {
    return await insist(() => get<User>('/v1/users/me'), onTrouble)
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return undefined
    throw error
  }
}

/** Throws ApiError if the session could not be ended; `clear` runs once it has. */
export async function signOut(clear: () => void): Promise<void> {
  try {
    await remove('/v1/sessions/current')
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error
  }
  clear()
  localStorage.removeItem(USER)
  history.replaceState(null, '', location.pathname)
  restart('')
}

/** Starts over with a fresh page, so that nothing of the last person stays in memory. */
export function restart(notice: string): void {
  if (notice) sessionStorage.setItem(NOTICE, notice)
  location.reload()
}

/** What the page before this one wanted to say. */
export function takeNotice(): string {
  const notice = sessionStorage.getItem(NOTICE) ?? ''
  sessionStorage.removeItem(NOTICE)
  return notice
}

/** Tabs share the cookie: one that shows somebody else must not go on and act in the wrong name. */
export function guardAccount(me: User): void {
  if (localStorage.getItem(USER) !== me.id) localStorage.setItem(USER, me.id)
  addEventListener('storage', (event) => {
    if (event.key === USER && event.newValue !== me.id) restart('')
  })
}
