/** What push did on this node so far. */
export type PushMetrics = {
  /** Messages and announcements that somebody might have to be woken for; of these people, those who were away. */
  considered: number
  away: number
  /** By what became of each push at its service; `unauthorized` is an alarm: our keys are refused. */
  accepted: number
  gone: number
  retried: number
  rejected: number
  unauthorized: number
  /** Put off since its service was slow or away. */
  deferred: number
  /** Never taken in 24 h. */
  abandoned: number
}

export function newPushMetrics(): PushMetrics {
  const services = { accepted: 0, gone: 0, retried: 0, rejected: 0, unauthorized: 0 }
  return { considered: 0, away: 0, ...services, deferred: 0, abandoned: 0 }
}
