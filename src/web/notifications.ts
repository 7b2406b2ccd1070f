import type { Chat } from '../client/client.ts'
import { unsubscribe } from '../client/push-subscription.ts'
import { find, setText } from './dom.ts'
import { OPEN_CONVERSATION, type OpenConversation } from './open-conversation.ts'

type Pushing = Pick<Chat, 'enablePush' | 'disablePush' | 'pushState'>

/** The switch for notifications on this device, and what a click on one of them opens. */
export function notifications(push: Pushing, opened: (conversation: string) => void): void {
  const pressed = find('notifications', HTMLButtonElement)
  const trouble = find('chat-error', HTMLElement)
  const attempt = async (act: () => Promise<void>) => {
    pressed.disabled = true
    setText(trouble, '')
    try {
      await act()
    } catch (error) {
      setText(trouble, error instanceof Error ? error.message : String(error))
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
  listen(opened)
}

function listen(opened: (conversation: string) => void): void {
  navigator.serviceWorker?.addEventListener('message', ({ data }: MessageEvent<OpenConversation | null>) => {
    if (data?.type === OPEN_CONVERSATION && data.conversation_id !== null) opened(data.conversation_id)
  })
}

/** Nobody is signed in: what is shown, and what comes, would be somebody else's. */
export async function endNotifications(): Promise<void> {
  const registration = await navigator.serviceWorker?.getRegistration()
  if (registration && 'pushManager' in registration) await unsubscribe(registration)
}
