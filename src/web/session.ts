import type { User } from '../protocol/types.ts'
import { forgetAccount, restart, wasSignedIn } from './account.ts'
import { ApiError, get, remove } from './api.ts'
import { insist, patience } from './insist.ts'

/** Boxes on the way may take the cookie off now and then: whoever was signed in is asked for so often more. */
const DOUBTS = 2

/** Whom the cookie belongs to, if it is any good. Waits for the server as long as it takes. */
export async function whoAmI(onTrouble?: (error: ApiError) => void): Promise<User | undefined> {
  for (let doubts = wasSignedIn() ? DOUBTS : 0; ; doubts -= 1) {
    const user = await insist(askWhoAmI, onTrouble)
    if (user || doubts === 0) return user
    await patience.pause(0)
  }
}

async function askWhoAmI(): Promise<User | undefined> {
  try {
    return await get<User>('/v1/users/me')
  } catch (error) {
    if (isSignedOut(error)) return undefined
    throw error
  }
}

/** Throws ApiError if the session could not be ended; `clear` runs once it has. */
export async function signOut(clear: () => Promise<unknown>): Promise<void> {
  try {
    await remove('/v1/sessions/current')
  } catch (error) {
    if (!isSignedOut(error)) throw error
  }
  await clear()
  forgetAccount()
  history.replaceState(null, '', location.pathname)
  restart('')
}

/** The server itself says so. */
function isSignedOut(error: unknown): boolean {
  return error instanceof ApiError && error.status === 401 && error.code !== ''
}
