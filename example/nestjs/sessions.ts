import session from 'express-session'
import createMemoryStore from 'memorystore-rs'

const DAY = 86_400_000
const MemoryStore = createMemoryStore(session)

/** The middleware, and the store behind it. */
export function createSessions(secret: string, isProduction: boolean) {
  const store = new MemoryStore({ checkPeriod: DAY, max: 100_000, user: 'user' })
  const middleware = session({
    secret,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 7 * DAY, sameSite: 'lax', secure: isProduction },
    store,
  })
  return { middleware, store }
}
