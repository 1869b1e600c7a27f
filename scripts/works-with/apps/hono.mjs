import { serve } from '@hono/node-server'
import session from 'express-session'
import { Hono } from 'hono'
import createMemoryStore from 'memorystore-rs'
import gate from './gate.cjs'

const MemoryStore = createMemoryStore(session)
const store = new MemoryStore({ checkPeriod: 60_000 })
const sessions = session({ secret: 'secret', resave: false, saveUninitialized: false, store })

const app = new Hono()
// express-session works on Node's request and response, which the server of Hono gives.
app.use(async (c, next) => {
  const { incoming, outgoing } = c.env
  await new Promise((resolve, reject) => {
    sessions(incoming, outgoing, (err) => (err ? reject(err) : resolve()))
  })
  await next()
})
app.get('/', (c) => {
  const { session } = c.env.incoming
  if (session.user) session.views = (session.views ?? 0) + 1
  return c.json({ user: session.user, views: session.views })
})
app.post('/login', async (c) => {
  const { incoming } = c.env
  const { user } = await c.req.json()
  await new Promise((resolve) => incoming.session.regenerate(resolve))
  incoming.session.user = user
  return c.json({})
})
app.post('/logout', async (c) => {
  await new Promise((resolve) => c.env.incoming.session.destroy(resolve))
  return c.json({})
})
app.get('/slow', async (c) => {
  c.env.incoming.session.views += 1
  await gate.slow()
  return c.json({})
})
serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => gate.announce(port))
