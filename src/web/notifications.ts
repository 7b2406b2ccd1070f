import type { Chat } from '../client/client.ts'
import { unsubscribe } from '../client/push-subscription.ts'
import { forgetWish } from '../client/push-wish.ts'
import { find, setText } from './dom.ts'
import { patience } from './insist.ts'

type Pushing = Pick<Chat, 'enablePush' | 'disablePush' | 'pushState'>

/** A push service that is out of reach does not keep anybody signed in. */
const END_MS = 2_000

/** The switch for notifications on this device. */
export function notifications(push: Pushing): void {
  const pressed = find('notifications', HTMLButtonElement)
  const trouble = find('chat-error', HTMLElement)
  const attempt = async (act: () => Promise<void>) => {
    pressed.disabled = true
    setText(trouble, '')
    try {
      await act()
    } catch (error) {
      setText(trouble, wordsFor(error))
    }
    await show()
  }
  const show = async () => {
    const state = await push.pushState()
    pressed.dataset.state = state
    pressed.hidden = state === 'unsupported'
    pressed.disabled = false
    setText(pressed, state === 'on' ? 'Turn notifications off' : 'Turn notifications on')
    return state
  }
  pressed.addEventListener('click', () => {
    const isOn = pressed.dataset.state === 'on'
    void attempt(() => (isOn ? push.disablePush() : push.enablePush()))
  })
  // The gateway's key or the subscription may have changed while no page was open. Without a network it waits.
  void show().then((state) => (state === 'on' ? push.enablePush().catch(() => {}) : undefined))
}

/** What does not come of the browser or the gateway is a module that was not loaded. */
function wordsFor(error: unknown): string {
  const isPushError = error instanceof Error && error.name === 'PushError'
  return isPushError ? error.message : 'That did not work. Reload the page, and try again.'
}

/** Nobody is signed in: what is shown, and what comes, would be somebody else's. Never rejects. */
export async function endNotifications(): Promise<void> {
  forgetWish()
  const end = async () => {
    const registration = await navigator.serviceWorker?.getRegistration()
    if (registration && 'pushManager' in registration) await unsubscribe(registration)
  }
  await Promise.race([end().catch(() => {}), patience.pause(0, END_MS)])
}
