import type { ChildProcess, SendHandle } from 'node:child_process'

/** What node:cluster sends to hand a connection over, and what it is answered. */
type ClusterMessage = { act?: string; seq?: number; ack?: number }
type Connection = SendHandle & { close(): void }

/**
 * Ends the connections that a worker died without having taken. node:cluster keeps them open for ever, so that the
 * client would wait for an answer that nobody is going to give, where it could repeat its request at once.
 */
export function endUntakenConnections(worker: ChildProcess): void {
  const handedOver = new Map<number, Connection>()
  const send = worker.send.bind(worker) as (...given: unknown[]) => boolean
  worker.send = (message: unknown, handle?: unknown, ...more: unknown[]) => {
    const { act, seq } = message as ClusterMessage
    if (act === 'newconn' && seq !== undefined && handle) handedOver.set(seq, handle as Connection)
    return send(message, handle, ...more)
  }
  // Typed for signals and ours only: node:cluster's own messages come under this name.
  const from: NodeJS.EventEmitter = worker
  from.on('internalMessage', ({ ack }: ClusterMessage) => {
    if (ack !== undefined) handedOver.delete(ack)
  })
  // When it has gone and its last word was read; 'disconnect' never comes while a connection is on its way.
  from.once('close', () => {
    for (const connection of handedOver.values()) connection.close()
  })
}
