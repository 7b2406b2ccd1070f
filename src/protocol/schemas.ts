/** All that the wire takes and gives, as zod schemas. */
export * from './admin-schemas.ts'
export * from './answer-schemas.ts'
export * from './event-schemas.ts'
export { deviceId, idempotencyKey, isUuid, newUserId } from './field-schemas.ts'
export * from './push-schemas.ts'
export * from './request-schemas.ts'
