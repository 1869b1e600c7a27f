'use strict'

// An app as people run it on many machines: Express and express-session on Redis, in a process of
// its own with a connection of its own. It is given its options as JSON:
// - `url` of the server, and `store`, 'memorystore-rs' or 'connect-redis'
// - `options` of the store
// - `maxAge` of the cookies, in milliseconds
// - `clock`, by how many milliseconds the clock of its machine differs
// It tells the port on which it serves.

const { once } = require('node:events')

const { url, store: kind, options, maxAge, clock = 0 } = JSON.parse(process.argv[2])

if (clock !== 0) global.Date = shifted(Date, clock)

const { RedisStore } = require('connect-redis')
const express = require('express')
const session = require('express-session')
const { createClient } = require('redis')
const MemoryStore = require('../..')(session)

// It ends with the test.
process.on('disconnect', () => process.exit())
serve()

/** The class `Date` of a machine whose clock is that many milliseconds fast. */
function shifted(Real, clock) {
  return class Date extends Real {
    constructor(...args) {
      if (args.length === 0) super(Real.now() + clock)
      else super(...args)
    }

    static now() {
      return Real.now() + clock
    }
  }
}

async function openStore() {
  const client = createClient({ url })
  if (kind === 'memorystore-rs') return new MemoryStore({ redis: client, ...options })
  client.on('error', () => {})
  await client.connect()
  return new RedisStore({ client })
}

async function serve() {
  const store = await openStore()
  const app = express()
  app.use((req, res, next) => {
    res.set({ connection: 'close' })
    next()
  })
  app.get('/stats', (req, res) => res.json(store.stats()))
  // Whether it has a connection.
  app.get('/health', (req, res) => {
    store.get('none', (err) => res.status(err ? 503 : 200).json({}))
  })
  app.use(
    session({
      secret: 'test',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge },
      store,
    }),
  )
  app.post('/login/:name', (req, res, next) => {
    req.session.regenerate((err) => {
      if (err) return next(err)
      req.session.name = req.params.name
      res.json({ sid: req.sessionID })
    })
  })
  app.get('/me', (req, res) => {
    // Before express-session moves it.
    res.set({ 'x-life': req.session.cookie.expires - Date.now() })
    res.json({ ...req.session, cookie: undefined })
  })
  app.post('/keys/:key', (req, res) => {
    req.session[req.params.key] = 1
    res.json({})
  })
  // Has read the session when it sends the head of the answer, and writes when the client has
  // sent the last of the request.
  app.post('/slow/:key', async (req, res) => {
    res.flushHeaders()
    await once(req.resume(), 'end')
    req.session[req.params.key] = 1
    res.end()
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((err) => (err ? next(err) : res.json({})))
  })
  const server = app.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
}
