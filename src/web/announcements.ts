import { ApiError, get } from './api.ts'
import { find, setText } from './dom.ts'

type Announcement = { id: string; text: string }

/** Per browser: what one person has put away, all who share it have seen. */
const PUT_AWAY = 'longwave announcement'

/** The operator's latest word to everybody, on top of all until it is put away. */
export function announcements(): { show(announcement: Announcement): void; load(): Promise<void> } {
  const notice = find('announcement', HTMLElement)
  let shown = ''
  const show = ({ id, text }: Announcement) => {
    if (localStorage.getItem(PUT_AWAY) === id) return
    shown = id
    setText(find('announcement-text', HTMLElement), text)
    notice.hidden = false
  }
  find('announcement-close', HTMLButtonElement).addEventListener('click', () => {
    localStorage.setItem(PUT_AWAY, shown)
    notice.hidden = true
  })
  return {
    show,
    async load() {
      try {
        const { announcements } = await get<{ announcements: Announcement[] }>('/v1/announcements?limit=1')
        const [latest] = announcements
        if (latest) show(latest)
        else notice.hidden = true
      } catch (error) {
        // Nice to know; the next load asks again.
        if (!(error instanceof ApiError)) throw error
      }
    },
  }
}
