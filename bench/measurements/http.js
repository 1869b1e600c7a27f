'use strict'

/**
 * HTTP: an Express app with express-session on a filled store that looks for expired sessions
 * every 2 s. Another process, http-load.js, asks for a page that reads the session and for one
 * that writes it.
 */

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { join } = require('node:path')
const express = require('express')
const session = require('express-session')
const harness = require('../harness.js')
const { sessionMaker } = require('../sessions.js')

const SECRET = 'bench'
const CHECK_PERIOD = 2000

module.exports = { serve, SECRET }

harness.runAsChild(module, measure)

async function measure(params, tell) {
  const { count, size, seconds } = params
  const make = sessionMaker({ size, cookie: 'express' })

  return harness.withStore(params, {}, async ({ store }) => {
    await harness.load(store, make, 0, count, tell)
    await harness.check(params.store, store, make, count)
    await harness.settle()
    // Not from the start on: to fill a store that is pruned all the while takes longer.
    if (store.startInterval) {
      store.options.checkPeriod = CHECK_PERIOD
      store.startInterval()
    }
    const server = await serve(store)
    const url = `http://127.0.0.1:${server.address().port}`

    await askFor({ url: `${url}/write`, count, seconds: Math.ceil(seconds / 4), secret: SECRET })
    const result = {}
    for (const page of ['read', 'write']) {
      result[page] = await askFor({ url: `${url}/${page}`, count, seconds, secret: SECRET })
    }
    server.closeAllConnections()
    server.close()
    return result
  })
}

async function serve(store) {
  const app = express()
  app.disable('x-powered-by')
  app.use(
    session({
      secret: SECRET,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 86400000 },
      store,
    }),
  )
  app.get('/read', (req, res) => {
    const { user, views } = req.session
    if (!user) return res.status(401).end()
    res.json({ name: user.name, views })
  })
  app.get('/write', (req, res) => {
    const { user } = req.session
    if (!user) return res.status(401).end()
    req.session.views++
    res.json({ name: user.name, views: req.session.views })
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** Lets another process make the requests. */
async function askFor(params) {
  const file = join(__dirname, 'http-load.js')
  const child = fork(file, [JSON.stringify(params)], { execArgv: [] })
  let answer
  child.on('message', (message) => (answer = message))
  const [code] = await once(child, 'exit')
  if (answer?.kind === 'result') return answer.value
  throw new Error(answer?.value ?? `the load generator ended with ${code}`)
}
