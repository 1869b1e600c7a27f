import type { AddressInfo } from 'node:net'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import fastify, { type Session } from 'fastify'
import createMemoryStore from 'memorystore-rs'

const { NODE_ENV, PORT = '3000', SESSION_SECRET = '' } = process.env
if (SESSION_SECRET.length < 32) throw new Error('set SESSION_SECRET to at least 32 characters')

const DAY = 86_400_000
const isProduction = NODE_ENV === 'production'
const MemoryStore = createMemoryStore<Session>()
// @fastify/session does not tell the store which sessions it loaded. 'final' keeps a logout one.
const store = new MemoryStore({ checkPeriod: DAY, max: 100_000, destroyed: 'final', user: 'user' })

const app = fastify({ trustProxy: isProduction })
app.register(cookie)
app.register(session, {
  secret: SESSION_SECRET,
  saveUninitialized: false,
  cookie: { maxAge: 7 * DAY, sameSite: 'lax', secure: isProduction },
  store,
})

app.get('/', async ({ session }) => {
  if (session.user !== undefined) session.views = (session.views ?? 0) + 1
  return { user: session.user, views: session.views }
})

const body = {
  type: 'object',
  required: ['user'],
  properties: { user: { type: 'string', minLength: 1 } },
}
// Check a password here. A new session id at the login keeps an attacker from choosing it.
app.post<{ Body: { user: string } }>('/login', { schema: { body } }, async (request) => {
  await request.session.regenerate()
  request.session.user = request.body.user
  return { user: request.body.user }
})

app.post('/logout', async (request) => {
  await request.session.destroy()
  return {}
})

await app.listen({ port: Number(PORT) })
const { port } = app.server.address() as AddressInfo
console.log(`listening on http://localhost:${port}`)
