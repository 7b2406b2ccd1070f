/** The element of index.html with this id. Throws if the two do not fit together. */
export function find<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} with the id ${id}`)
  return found
}

/** A new element. Whatever people wrote goes in as a text node, never as markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

export function button(text: string, attributes: Record<string, string>, act: () => void): HTMLButtonElement {
  const made = make('button', { type: 'button', ...attributes }, text)
  made.addEventListener('click', act)
  return made
}

/** Writes only what differs: a live region reads out every change. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/** The part of an element that has this class. */
export function part(element: Element, name: string): HTMLElement {
  const found = element.querySelector<HTMLElement>(`.${name}`)
  if (!found) throw new Error(`there is no .${name}`)
  return found
}

type Rows<T> = {
  key: (item: T) => string
  create: (item: T) => HTMLElement
  update: (row: HTMLElement, item: T) => void
}

/** Makes the children of `parent` show `items`. An item keeps its element, so focus stays and nothing is read out twice. */
export function showRows<T>(
  parent: HTMLElement,
  items: readonly T[],
  { key, create, update }: Rows<T>,
): void {
  const before = new Map(
    [...parent.children].map((row) => [(row as HTMLElement).dataset.key, row as HTMLElement]),
  )
  const keys = new Set(items.map(key))
  for (const [name, row] of before) if (name === undefined || !keys.has(name)) row.remove()
  let place = parent.firstElementChild
  for (const item of items) {
    const row = before.get(key(item)) ?? create(item)
    row.dataset.key = key(item)
    update(row, item)
    if (row === place) place = place.nextElementSibling
    else move(parent, row, place)
  }
}

function move(parent: HTMLElement, row: HTMLElement, place: Element | null): void {
  const focused = row.contains(document.activeElement) ? (document.activeElement as HTMLElement) : undefined
  parent.insertBefore(row, place)
  focused?.focus({ preventScroll: true })
}

/** Runs `render` once after the code at hand, however often it is asked to. */
export function batched(render: () => void): () => void {
  let isDue = false
  return () => {
    if (isDue) return
    isDue = true
    queueMicrotask(() => {
      isDue = false
      render()
    })
  }
}
