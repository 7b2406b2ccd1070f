/** All that the wire takes and gives, as zod schemas. */
export * from './answer-schemas.ts'
export * from './event-schemas.ts'
export { idempotencyKey, isUuid } from './field-schemas.ts'
export * from './request-schemas.ts'
