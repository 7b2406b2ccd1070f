const GAP_PX = 4

/** Places a popover beside its opener as soon as it opens: below if there is room, else above, never beyond the edge. */
export function place(popover: HTMLElement, opener: HTMLElement): void {
  popover.addEventListener(
    'toggle',
    () => {
      const from = opener.getBoundingClientRect()
      const { offsetWidth: width, offsetHeight: height } = popover
      const below = from.bottom + GAP_PX
      const top = below + height <= innerHeight ? below : from.top - GAP_PX - height
      popover.style.top = `${Math.max(GAP_PX, top)}px`
      popover.style.left = `${Math.max(GAP_PX, Math.min(from.left, innerWidth - GAP_PX - width))}px`
      popover.querySelector<HTMLElement>('button, input')?.focus()
    },
    { once: true },
  )
}
