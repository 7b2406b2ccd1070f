import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { MAX_BODY_BYTES } from '../protocol/constants.ts'
import { Problem } from '../protocol/problems.ts'

/**
 * Reads a JSON body; `undefined` where there is none. Throws Problem unsupported_media_type, body_too_large (by its
 * announced length before a byte is read, else as soon as it is over), malformed_json, malformed_request (cut off).
 */
export async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const length = incoming.headers['content-length']
  if (
    length === '0' ||
    (length === undefined && incoming.headers['transfer-encoding'] === undefined && !isHttp2(incoming))
  ) {
    return undefined
  }
  if (Number(length) > MAX_BODY_BYTES) throw tooLarge()
  const encoding = incoming.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new Problem('unsupported_media_type', 'Send the body as it is, without a Content-Encoding.')
  }
  if (!isJson(incoming)) {
    throw new Problem('unsupported_media_type', 'Send the body as JSON with Content-Type: application/json.')
  }
  return parseJson(await readBytes(incoming))
}

/** Whether the body calls itself JSON, in UTF-8 if it says so. */
export function isJson(incoming: IncomingMessage): boolean {
  const [type = '', ...parameters] = (incoming.headers['content-type'] ?? '').toLowerCase().split(';')
  const charset = parameters.map((each) => each.trim()).find((each) => each.startsWith('charset='))
  return type.trim() === 'application/json' && (!charset || /^charset="?utf-?8"?$/.test(charset))
}

function isHttp2(incoming: IncomingMessage): boolean {
  return incoming.httpVersionMajor === 2
}

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined
  if (!isUtf8(bytes)) throw new Problem('malformed_json', 'The body is not UTF-8. Encode it as UTF-8.')
  try {
    return JSON.parse(bytes.toString())
  } catch {
    throw new Problem(
      'malformed_json',
      'The body cannot be parsed as JSON. Check quotes, commas and brackets.',
    )
  }
}

function readBytes(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (act: () => void) => {
      incoming.off('data', onData).off('end', onEnd).off('error', onCut).off('close', onCut)
      act()
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BODY_BYTES) settle(() => reject(tooLarge()))
      else chunks.push(chunk)
    }
    const onEnd = () =>
      settle(() => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    const onCut = () =>
      settle(() =>
        reject(new Problem('malformed_request', 'The body ended too early. Send the request again.')),
      )
    incoming.on('data', onData).on('end', onEnd).on('error', onCut).on('close', onCut)
  })
}

function tooLarge(): Problem {
  return new Problem('body_too_large', `A body has at most ${MAX_BODY_BYTES / 1024} KiB. Send less at once.`)
}
