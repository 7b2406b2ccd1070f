import type { User } from '../protocol/types.ts'

/** Who is signed in here, an id and no secret: so that other tabs learn when it changes. */
const USER = 'longwave.user'
const NOTICE = 'longwave.notice'

/** Whether somebody was signed in here when this was last known. */
export function wasSignedIn(): boolean {
  return localStorage.getItem(USER) !== null
}

/** Nobody is: the other tabs start over, too. */
export function forgetAccount(): void {
  localStorage.removeItem(USER)
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
  document.body.dataset.user = me.id
  const check = () => {
    if (!isStillMe()) restart('')
  }
  addEventListener('storage', check)
  // A page that was put away is told nothing of what happened meanwhile.
  addEventListener('pageshow', check)
}

/** Whether the cookie is still that of the person shown, if one is. */
function isStillMe(): boolean {
  const { user } = document.body.dataset
  return user === undefined || localStorage.getItem(USER) === user
}

/** `fetch`, unless it would be in another one's name. */
export async function fetchAsMe(url: string, init?: RequestInit): Promise<Response> {
  if (isStillMe()) return fetch(url, init)
  restart('')
  throw new Error('Somebody else has signed in.')
}
