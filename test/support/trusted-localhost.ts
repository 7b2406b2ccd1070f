import { readFileSync } from 'node:fs'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'

const file = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')

/** For servers over https at 127.0.0.1; from then on this thread trusts its certificate. */
export function trustedLocalhost(): { cert: string; key: string } {
  const cert = file('localhost.crt')
  const trusted = getCACertificates('default')
  if (!trusted.includes(cert)) setDefaultCACertificates([...trusted, cert])
  return { cert, key: file('localhost.key') }
}
