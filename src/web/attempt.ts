import { ApiError } from './api.ts'
import { setText } from './dom.ts'

/** Does what was asked for; what the server refuses is said in `notice`, in words for a person. True if it was done. */
export async function attempt(notice: HTMLElement, act: () => Promise<unknown>): Promise<boolean> {
  setText(notice, '')
  try {
    await act()
    return true
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    setText(notice, error.message)
    return false
  }
}
