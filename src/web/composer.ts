import { attempt } from './attempt.ts'
import { find, setText } from './dom.ts'
import { type Draft, Drafts } from './drafts.ts'

type Handlers = {
  send(text: string, reply_to?: number): void
  /** Something new is being written. */
  typed(): void
  /** Throws ApiError. */
  edit(seq: number, text: string): Promise<void>
  /** The arrow up in an empty field. */
  editLast(): void
}

/**
 * The field at the bottom. Enter sends, Shift+Enter begins a new line, Escape gives up a reply or an edit; each conversation
 * keeps its own draft, over a reload too.
 */
export class Composer {
  readonly #handlers: Handlers
  readonly #form = find('composer', HTMLFormElement)
  readonly #field = find('message-text', HTMLTextAreaElement)
  readonly #drafts: Drafts
  #open = ''
  #draft: Draft = { text: '' }

  constructor(user: string, handlers: Handlers) {
    this.#handlers = handlers
    this.#drafts = new Drafts(user)
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#submit()
    })
    this.#field.addEventListener('input', () => {
      this.#keep()
      if (this.#field.value !== '' && this.#draft.aim?.kind !== 'edit') handlers.typed()
    })
    this.#field.addEventListener('keydown', (event) => this.#pressed(event))
    find('aim-cancel', HTMLButtonElement).addEventListener('click', () => this.#giveUp())
  }

  switchTo(conversation: string): void {
    if (conversation === this.#open) return
    this.#keep()
    this.#open = conversation
    this.#show(this.#drafts.get(conversation))
  }

  /** `label` says to what. */
  reply(seq: number, label: string): void {
    if (this.#draft.aim?.kind === 'edit') this.#giveUp()
    this.#show({ text: this.#field.value, aim: { kind: 'reply', seq, label } })
    this.#field.focus()
  }

  edit(seq: number, text: string): void {
    const before = this.#draft.aim?.kind === 'edit' ? (this.#draft.before ?? '') : this.#field.value
    this.#show({ text, before, aim: { kind: 'edit', seq, label: 'Edit message' } })
    this.#field.focus()
  }

  #pressed(event: KeyboardEvent): void {
    // A completion may have taken the key; Enter also ends the composition of a Japanese or Chinese word.
    if (event.defaultPrevented || event.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      this.#form.requestSubmit()
    } else if (event.key === 'Escape' && this.#draft.aim) this.#giveUp()
    else if (event.key === 'ArrowUp' && this.#field.value === '' && !this.#draft.aim) {
      event.preventDefault()
      this.#handlers.editLast()
    }
  }

  #submit(): void {
    const text = this.#field.value
    const { aim } = this.#draft
    this.#field.focus()
    if (text.trim() === '') return
    if (aim?.kind === 'edit') void this.#saveEdit(aim.seq, text)
    else {
      this.#handlers.send(text, aim?.seq)
      this.#show({ text: '' })
    }
  }

  /** Until it is answered the text stays: nothing is lost should it be refused. */
  async #saveEdit(seq: number, text: string): Promise<void> {
    const draft = this.#draft
    const send = find('send', HTMLButtonElement)
    send.disabled = true
    const isDone = await attempt(find('notice', HTMLElement), () => this.#handlers.edit(seq, text))
    send.disabled = false
    if (isDone && this.#draft === draft) this.#giveUp()
    else if (isDone) this.#drafts.drop(draft)
  }

  /** Back to what was written before. */
  #giveUp(): void {
    const { aim, before = '' } = this.#draft
    this.#show({ text: aim?.kind === 'edit' ? before : this.#field.value })
    this.#field.focus()
  }

  #keep(): void {
    this.#draft.text = this.#field.value
    this.#drafts.set(this.#open, this.#draft)
  }

  #show(draft: Draft): void {
    this.#draft = draft
    this.#field.value = draft.text
    this.#keep()
    find('aim', HTMLElement).hidden = !draft.aim
    setText(find('aim-label', HTMLElement), draft.aim?.label ?? '')
    setText(find('send', HTMLButtonElement), draft.aim?.kind === 'edit' ? 'Save' : 'Send')
  }
}
