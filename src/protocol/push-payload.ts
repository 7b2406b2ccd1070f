/** What a Web Push carries, as JSON: enough to show a notification without asking the server. */
export type PushPayload = {
  /** `read` shows nothing: it withdraws the notification of its conversation. */
  type: 'message' | 'announcement' | 'read'
  /** `null` for an announcement. */
  conversation_id: string | null
  title: string
  sender: string | null
  /** `null` where the operator wants no text in notifications. */
  preview: string | null
  unread_count: number
  mention_count: number
}
