import 'fastify'

declare module 'fastify' {
  /** What this app keeps in a session. */
  interface Session {
    user?: string
    views?: number
  }
}
