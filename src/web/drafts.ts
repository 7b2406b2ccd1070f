/** What the text in the field is for; without one it is a message like any other. */
type Aim = { kind: 'reply' | 'edit'; seq: number; label: string }
export type Draft = { text: string; aim?: Aim | undefined /** What an edit pushed aside. */; before?: string }

const nameOf = (user: string) => `longwave.drafts.${user}`

/** What one person has written in this tab and not sent, per conversation: kept over a reload, and over a session's end. */
export class Drafts {
  readonly #name: string
  readonly #drafts: Map<string, Draft>

  constructor(user: string) {
    this.#name = nameOf(user)
    this.#drafts = new Map(JSON.parse(sessionStorage.getItem(this.#name) ?? '[]'))
  }

  get(conversation: string): Draft {
    return this.#drafts.get(conversation) ?? { text: '' }
  }

  set(conversation: string, draft: Draft): void {
    if (draft.text === '' && !draft.aim) this.#drafts.delete(conversation)
    else this.#drafts.set(conversation, draft)
    this.#save()
  }

  /** Wherever it is. */
  drop(draft: Draft): void {
    for (const [conversation, each] of this.#drafts) if (each === draft) this.#drafts.delete(conversation)
    this.#save()
  }

  #save(): void {
    try {
      sessionStorage.setItem(this.#name, JSON.stringify([...this.#drafts]))
    } catch {
      // Full: then they live as long as the page.
    }
  }
}

export function forgetDrafts(user: string): void {
  sessionStorage.removeItem(nameOf(user))
}
