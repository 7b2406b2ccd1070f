/** That somebody wants push here: a subscription may be gone before another can be had. */
const WISH = 'longwave.push'

export function isWished(): boolean {
  return attempt(() => localStorage.getItem(WISH)) === ''
}

export function wish(): void {
  attempt(() => localStorage.setItem(WISH, ''))
}

export function forgetWish(): void {
  attempt(() => localStorage.removeItem(WISH))
}

/** A browser that may keep nothing throws. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}
