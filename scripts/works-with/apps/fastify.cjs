'use strict'

const fastify = require('fastify')
const MemoryStore = require('memorystore-rs')()
const { announce, slow } = require('./gate.cjs')

const app = fastify()
const store = new MemoryStore({ checkPeriod: 60_000, destroyed: 'final' })
app.register(require('@fastify/cookie'))
app.register(require('@fastify/session'), {
  secret: 'a secret with at least 32 characters',
  cookie: { secure: false },
  saveUninitialized: false,
  store,
})
app.get('/', async ({ session }) => {
  if (session.user) session.views = (session.views ?? 0) + 1
  return { user: session.user, views: session.views }
})
app.post('/login', async (request) => {
  await request.session.regenerate()
  request.session.user = request.body.user
  return {}
})
app.post('/logout', async (request) => {
  await request.session.destroy()
  return {}
})
app.get('/slow', async ({ session }) => {
  session.views += 1
  await slow()
  return {}
})
app.listen({ port: 0, host: '127.0.0.1' }).then(() => announce(app.server.address().port))
