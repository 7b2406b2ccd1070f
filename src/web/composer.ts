import { find } from './dom.ts'

/** The field at the bottom. Enter sends, Shift+Enter begins a new line; each conversation keeps its own draft. */
export function composer(
  send: (text: string) => void,
  typed: () => void,
): { switchTo(conversation: string): void } {
  const form = find('composer', HTMLFormElement)
  const field = find('message-text', HTMLTextAreaElement)
  const drafts = new Map<string, string>()
  let current = ''
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const text = field.value
    field.focus()
    if (text.trim() === '') return
    field.value = ''
    send(text)
  })
  field.addEventListener('input', () => {
    if (field.value !== '') typed()
  })
  field.addEventListener('keydown', (event) => {
    // Enter also ends the composition of a Japanese or Chinese word; that sends nothing.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    form.requestSubmit()
  })
  return {
    switchTo(conversation) {
      if (conversation === current) return
      drafts.set(current, field.value)
      field.value = drafts.get(conversation) ?? ''
      current = conversation
    },
  }
}
