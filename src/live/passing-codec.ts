import { encodePassing, type Passing } from '../protocol/passing.ts'

/** A passing event as nodes tell each other, JSON: `{deployment, recipients, event}`. */
export function encodePassingPiece(deployment: string, { recipients, event }: Passing): string {
  return `{"deployment":${JSON.stringify(deployment)},"recipients":${JSON.stringify(recipients)},"event":${event.json}}`
}

/** `undefined` for what is of another deployment over the same servers, or what no node of ours ever sent. */
export function readPassingPiece(deployment: string, data: Uint8Array): Passing | undefined {
  try {
    const said = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
    const { recipients, event } = said
    const isOurs = said.deployment === deployment && Array.isArray(recipients)
    if (!isOurs || typeof event.type !== 'string' || typeof event.user_id !== 'string') return undefined
    const { id: _, ...fields } = event
    return { recipients, event: encodePassing(fields) }
  } catch {
    return undefined
  }
}
