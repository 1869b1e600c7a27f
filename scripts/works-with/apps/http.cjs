'use strict'

const { createServer } = require('node:http')
const session = require('express-session')
const MemoryStore = require('memorystore-rs')(session)
const { announce, slow } = require('./gate.cjs')

const store = new MemoryStore({ checkPeriod: 60_000 })
const sessions = session({ secret: 'secret', resave: false, saveUninitialized: false, store })

const ROUTES = {
  'GET /': ({ session }) => {
    if (session.user) session.views = (session.views ?? 0) + 1
    return { user: session.user, views: session.views }
  },
  'POST /login': async (req) => {
    const { user } = await bodyOf(req)
    await new Promise((resolve) => req.session.regenerate(resolve))
    req.session.user = user
    return {}
  },
  'POST /logout': async (req) => {
    await new Promise((resolve) => req.session.destroy(resolve))
    return {}
  },
  'GET /slow': async ({ session }) => {
    session.views += 1
    await slow()
    return {}
  },
}

const server = createServer((req, res) => {
  sessions(req, res, async () => {
    const answer = await ROUTES[`${req.method} ${req.url}`](req)
    res.end(JSON.stringify(answer))
  })
})
server.listen(0, '127.0.0.1', () => announce(server.address().port))

async function bodyOf(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text)
}
