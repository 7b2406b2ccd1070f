const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' })

/** Short: the time if it is today, else the day. */
export function clock(at: string): string {
  const date = new Date(at)
  return date.toDateString() === new Date().toDateString() ? TIME.format(date) : DAY.format(date)
}

/** Beside a message: always with the time. */
export function dayAndTime(at: string): string {
  const date = new Date(at)
  return date.toDateString() === new Date().toDateString()
    ? TIME.format(date)
    : `${DAY.format(date)}, ${TIME.format(date)}`
}

export function fullDate(at: string): string {
  return DATE.format(new Date(at))
}
