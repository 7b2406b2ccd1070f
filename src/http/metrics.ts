import type { PushMetrics } from '../push/metrics.ts'
import type { Services } from './services.ts'

const PUSH: [keyof PushMetrics, string][] = [
  ['considered', 'People whom something committed here might have to wake'],
  ['away', 'Those of them who were away'],
  ['accepted', 'Pushes that a push service took'],
  ['gone', 'Subscriptions that their push service said have ended'],
  ['retried', 'Pushes to be tried again: no answer, 429 or 5xx'],
  ['rejected', 'Pushes that a push service will never take'],
  ['unauthorized', 'Pushes refused for the VAPID keys: an alarm'],
  ['deferred', 'Pushes put off since their push service was slow or away'],
  ['abandoned', 'Pushes given up after 24 hours'],
]

/** What this node counted since its start, as Prometheus reads it; by node, as one address may lead to several. */
export function metricsText({ push, delivery }: Services): string {
  const lines = PUSH.map(([name, help]) => {
    const metric = `longwave_push_${name}_total`
    return `# HELP ${metric} ${help}.\n# TYPE ${metric} counter\n${metric}{node="${delivery.node}"} ${push.metrics[name]}\n`
  })
  return lines.join('')
}
