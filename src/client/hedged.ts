import type { Answer } from './answers.ts'

/**
 * Asks, and once more beside that if there is no answer after `afterMs`: the connection may be one that a NAT has
 * forgotten, and a pool gives a busy one to nobody else. Not once the answer has `begun`, which may be a long one. The first
 * answer of the server counts, else the last failure.
 */
export function hedged(
  ask: (isHedge: boolean, begun: () => void) => Promise<Answer>,
  afterMs: number,
): Promise<Answer> {
  return new Promise((resolve) => {
    let open = 0
    const run = async (isHedge: boolean) => {
      open += 1
      const answer = await ask(isHedge, () => clearTimeout(timer))
      open -= 1
      if (!answer.ok && !answer.isOurs && open > 0) return
      clearTimeout(timer)
      resolve(answer)
    }
    const timer = setTimeout(run, afterMs, true)
    void run(false)
  })
}
