/** How clients reach a box: it stands for the server, is configured as a proxy, or lies in the wire. */
export type BoxKind = 'reverse' | 'forward' | 'tcp'

/** One server, with and without TLS: base URLs without a trailing slash. */
export type Origin = { readonly http: string; readonly https: string }

/** What a client is told to come through a box. */
export type Way = {
  /** What it calls, without a trailing slash: the box itself, or the server where there is a `proxyUrl`. */
  readonly url: string
  /** The forward proxy that it is configured with; `undefined` in front of a server and in the wire. */
  readonly proxyUrl: string | undefined
  /** File (PEM) of the authority that it trusts; `undefined` where no TLS is seen. */
  readonly authority: string | undefined
}

/** A middlebox between a client and a server. */
export interface Box extends Way {
  readonly name: string
  readonly kind: BoxKind
  /** Resolves when it takes connections. Rejects with the program's own words if it does not. */
  start(origin: Origin): Promise<void>
  /** As its operator would: everything that passes through it ends, and it is back at the same address. */
  restart(): Promise<void>
  /** Leaves no process, port or file behind. */
  stop(): Promise<void>
}
