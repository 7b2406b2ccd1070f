import { find } from './dom.ts'

/** So close to the end counts as reading the latest. */
const NEAR_END_PX = 80

/**
 * Keeps the place in the log while it changes: at the end it stays at the end; further up, what is being read stays
 * where it is and a button tells of news below. Returns what is to be wrapped around each `draw`.
 */
export function scrollPlace(): (draw: () => void, isOther: boolean) => void {
  const log = find('log', HTMLElement)
  const list = find('messages', HTMLElement)
  const latest = find('to-latest', HTMLButtonElement)
  const distance = () => log.scrollHeight - log.scrollTop - log.clientHeight
  const goToEnd = () => {
    log.scrollTop = log.scrollHeight
    latest.hidden = true
  }
  log.addEventListener('scroll', () => {
    if (distance() < NEAR_END_PX) latest.hidden = true
  })
  latest.addEventListener('click', goToEnd)
  // The field below grows line by line, and a phone's keyboard takes half of it at once.
  let height = log.clientHeight
  new ResizeObserver(() => {
    const lost = height - log.clientHeight
    height = log.clientHeight
    if (distance() - lost < NEAR_END_PX) goToEnd()
  }).observe(log)

  /** The first row in sight, and where it is. */
  const landmark = () => {
    const edge = log.getBoundingClientRect().top
    const row = [...list.children].find((each) => each.getBoundingClientRect().bottom > edge)
    return row && { row, top: row.getBoundingClientRect().top }
  }

  return (draw, isOther) => {
    const wasNearEnd = distance() < NEAR_END_PX
    const oldLast = list.lastElementChild
    const before = wasNearEnd ? undefined : landmark()
    draw()
    const hasNews = list.lastElementChild !== oldLast
    const isMine = list.lastElementChild?.classList.contains('mine')
    if (isOther || wasNearEnd || (hasNews && isMine)) goToEnd()
    else {
      // Older ones above, a reaction, an edit: what is being read stays where it is.
      if (before?.row.isConnected) log.scrollTop += before.row.getBoundingClientRect().top - before.top
      if (hasNews) latest.hidden = false
    }
  }
}
