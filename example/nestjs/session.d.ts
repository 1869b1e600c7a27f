import 'express-session'

declare module 'express-session' {
  /** What this app keeps in a session. */
  interface SessionData {
    user: string
    views: number
  }
}
