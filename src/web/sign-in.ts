import { newKey } from '../client/client.ts'
import type { User } from '../protocol/types.ts'
import { ApiError, post } from './api.ts'
import { find, setText } from './dom.ts'

/** Shows the form until somebody has signed in or made an account. */
export function signIn(notice: string): Promise<User> {
  const section = find('sign-in', HTMLElement)
  const form = find('sign-in-form', HTMLFormElement)
  const username = find('username', HTMLInputElement)
  const error = find('sign-in-error', HTMLElement)
  let key = newKey()
  setText(find('sign-in-notice', HTMLElement), notice)
  section.hidden = false
  username.focus()
  // The same form sent twice is the same request, should its answer have been lost.
  form.addEventListener('input', () => {
    key = newKey()
  })
  return new Promise((resolve) => {
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const isNew = event.submitter?.id === 'sign-up-button'
      void submit(form, error, isNew ? '/v1/accounts' : '/v1/sessions', key).then((user) => {
        if (!user) return
        section.hidden = true
        form.reset()
        resolve(user)
      })
    })
  })
}

async function submit(
  form: HTMLFormElement,
  error: HTMLElement,
  path: string,
  key: string,
): Promise<User | undefined> {
  const fields = new FormData(form)
  const body = { username: fields.get('username'), password: fields.get('password'), cookie: true }
  form.inert = true
  setText(error, '')
  try {
    return (await post<{ user: User }>(path, body, key)).user
  } catch (cause) {
    if (!(cause instanceof ApiError)) throw cause
    setText(error, cause.message)
    return undefined
  } finally {
    form.inert = false
  }
}
