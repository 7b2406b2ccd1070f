import * as constants from '../protocol/constants.ts'
import * as schemas from '../protocol/schemas.ts'
import { within } from './deadline.ts'
import { endpoint } from './endpoint.ts'
import type { Services } from './services.ts'

export const getGateway = (services: Services) =>
  endpoint({
    summary: 'What this deployment offers',
    tag: 'Operations',
    signedIn: false,
    answers: { 200: { description: 'Transports, endpoints and limits.', schema: schemas.gateway } },
    async handle() {
      const { config, version, nodes } = services
      const body = {
        name: 'longwave',
        version,
        transports: ['sse', 'octet', 'slices', 'long-poll', 'poll'],
        endpoints: nodes.endpoints(),
        limits: {
          text_length: constants.MAX_TEXT_LENGTH,
          inline_text_bytes: constants.MAX_INLINE_TEXT_BYTES,
          body_bytes: constants.MAX_BODY_BYTES,
          answer_bytes: constants.MAX_ANSWER_BYTES,
          data_bytes: constants.MAX_DATA_BYTES,
          batch_messages: constants.MAX_BATCH_MESSAGES,
          batch_recipients: constants.MAX_BATCH_RECIPIENTS,
          group_members: config.groupLimit,
          wait_seconds: constants.MAX_WAIT_SECONDS,
          inbox_retention_days: config.retentionDays,
        },
        vapid_public_key: services.push.vapid.publicKey,
      }
      return { status: 200, body }
    },
  })

/** What can be reached; the reasons are for the operator's logs, not for the answer. */
export async function checkReadiness({
  config,
  database,
  bus,
  delivery,
}: Services): Promise<Record<string, 'ok' | 'failed'>> {
  const postgres = await within(2_000, database.sql`SELECT 1`).then(
    () => true,
    () => false,
  )
  const checks = {
    postgres,
    ...(config.nats && { nats: bus.isUp }),
    accepting: !delivery.isDraining,
  }
  return Object.fromEntries(Object.entries(checks).map(([name, isOk]) => [name, isOk ? 'ok' : 'failed']))
}
