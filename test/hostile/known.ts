import type { Finding, Verdict } from './checks/finding.ts'

/** What boxes are known to do; what is not said passes. `undefined`: it depends. */
const known: Readonly<Record<string, Readonly<Record<string, Verdict | undefined>>>> = {
  nginx: { 'POST 1.2 MB': 'refused' },
  'nginx-buffering': {
    sse: 'held',
    octet: 'held',
    'POST 1.2 MB': 'refused',
    'silent 15 s': 'held',
    'silent 50 s': 'cut',
    'keep-alive': 'cut',
  },
  'nginx-firewall': {
    ...{ sse: 'refused', octet: 'refused', slices: 'refused', poll: 'refused', 'poll 25 s': 'refused' },
    ...{ 'POST 1.2 MB': 'refused', 'silent 15 s': 'refused', 'silent 50 s': 'refused' },
  },
  haproxy: { 'silent 50 s': 'cut', 'keep-alive': 'cut' },
  varnish: { 'keep-alive': 'cut' },
  apache: { 'keep-alive': 'cut' },
  'http-1.0': { 'keep-alive': 'cut' },
  'squid-rules': { sse: 'refused', 'silent 15 s': 'cut', 'silent 50 s': 'cut' },
  'squid-scanner': { sse: 'held', octet: 'held', 'silent 15 s': 'held', 'silent 50 s': 'held' },
  privoxy: { sse: 'held', 'keep-alive': 'cut' },
  mitmproxy: { sse: 'held', octet: 'held', 'silent 15 s': 'held', 'silent 50 s': 'held' },
  tinyproxy: { 'keep-alive': 'cut' },
  nat: { 'silent 50 s': 'dropped', 'keep-alive': 'dropped' },
  // The cut may fall anywhere.
  cutter: {
    sse: undefined,
    octet: undefined,
    slices: undefined,
    poll: undefined,
    POST: undefined,
    'POST 1.2 MB': 'cut',
    'POST chunked': undefined,
    'silent 15 s': undefined,
    'silent 50 s': undefined,
    'keep-alive': undefined,
  },
  'slow-link': { 'POST 1.2 MB': 'stalls' },
}

/** What a box did that it is not known for, a sentence each. Its times hold where it was watched for over a minute. */
export function deviations(box: string, findings: ReadonlyMap<string, Finding>): string[] {
  return [...findings].flatMap(([check, { verdict, measure }]) => {
    const its = known[box] ?? {}
    const expected = check in its ? its[check] : 'passes'
    if (expected === undefined || expected === verdict) return []
    return [`${box}, ${check}: ${verdict} (${measure}), known: ${expected}`]
  })
}
