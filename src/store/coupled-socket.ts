import { Socket } from 'node:net'
import { SecureSocket, type TlsMode } from './secure-socket.ts'

/**
 * A socket whose 'error' is told together with its 'close'. Node tells them apart by some time, in which the driver
 * takes queries that it then forgets, and later answers with an empty result, as if they had been run.
 */
export class CoupledSocket extends Socket {
  #failure: Error | undefined

  override emit(event: string | symbol, ...details: unknown[]): boolean {
    if (event === 'error') {
      this.#failure ??= details[0] as Error
      return true
    }
    if (event === 'close' && this.#failure) super.emit('error', this.#failure)
    return super.emit(event, ...details)
  }
}

export type Address = { host: string[]; port: number[]; path?: string | false | undefined }

/**
 * A socket on its way to Postgres: what is written to it before it is connected waits. Several hosts are tried in turn.
 */
export function connectCoupled(
  { host, port, path }: Address,
  attempt: number,
  tls?: TlsMode,
): CoupledSocket | SecureSocket {
  if (path) return new CoupledSocket().connect({ path })
  const to = { host: host[attempt % host.length] ?? 'localhost', port: port[attempt % port.length] ?? 5432 }
  return tls ? new SecureSocket(to.host, to.port, tls) : new CoupledSocket().setNoDelay(true).connect(to)
}
