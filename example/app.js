'use strict'

/** The Express app: logging in and out, and a counter of views. */

const cluster = require('node:cluster')
const express = require('express')
const session = require('express-session')
const { makeToken, withToken } = require('./csrf.js')
const { MAX_AGENT } = require('./device.js')
const { createOperator } = require('./operator/router.js')
const { POLICY } = require('./pages/layout.js')
const { loginPage } = require('./pages/login.js')
const { sessionPage } = require('./pages/session.js')
const { addSessions } = require('./sessions.js')
const { operatorToken } = require('./settings.js')

module.exports = { createApp }

const LIFETIME = 30 * 60_000
const MAX_NAME = 40

// Cookies of localhost are shared by all its ports, so the name keeps off other apps.
const COOKIE = 'memorystore-rs.sid'

/**
 * @param store a MemoryStore with a `user`
 * @param secret what signs the cookies
 * @param samples what the operator's page shows; see operator/history.js
 */
function createApp(store, secret, samples) {
  const app = express()
  app.disable('x-powered-by')
  if (cluster.isWorker) app.use(closeConnection)
  app.use(setHeaders)
  // Before the sessions, so that looking at the figures does not change them.
  if (operatorToken) app.use('/operator', createOperator(operatorToken, samples))
  app.use(
    session({
      name: COOKIE,
      secret,
      store,
      resave: false,
      saveUninitialized: false,
      rolling: true,
      cookie: { httpOnly: true, sameSite: 'lax', secure: 'auto', maxAge: LIFETIME },
    }),
  )

  app.get('/', async (req, res) => {
    if (req.session.name === undefined) return res.send(loginPage({ maxLength: MAX_NAME }))
    req.session.views++
    // Otherwise the expiry would be renewed only once the page, which shows it, is made.
    req.session.touch()
    res.send(sessionPage(req.session, await store.length()))
  })

  app.post('/login', express.urlencoded({ extended: false }), (req, res, next) => {
    const name = readName(req.body)
    if (name === undefined) {
      const problem = `A name has 1 to ${MAX_NAME} characters.`
      return res.status(400).send(loginPage({ maxLength: MAX_NAME, problem }))
    }
    // A new id, so that nobody can log in on an id that somebody else has planted.
    req.session.regenerate((err) => {
      if (err) return next(err)
      req.session.name = name
      req.session.views = 0
      req.session.token = makeToken()
      req.session.agent = (req.get('User-Agent') ?? '').slice(0, MAX_AGENT)
      req.session.save((err) => (err ? next(err) : res.redirect(303, '/')))
    })
  })

  app.post('/logout', withToken, (req, res, next) => {
    req.session.destroy((err) => {
      if (err) return next(err)
      res.clearCookie(COOKIE)
      res.redirect(303, '/')
    })
  })

  addSessions(app, store)
  return app
}

/** Otherwise a browser would stay with one worker. */
function closeConnection(_req, res, next) {
  res.set('Connection', 'close')
  next()
}

/** The pages are of one session: the way back in a browser must not show them after a logout. */
function setHeaders(_req, res, next) {
  res.set({
    'Cache-Control': 'no-store',
    'Content-Security-Policy': POLICY,
    'X-Content-Type-Options': 'nosniff',
  })
  next()
}

function readName(body) {
  const name = typeof body?.name === 'string' ? body.name.trim() : ''
  return name.length > 0 && name.length <= MAX_NAME ? name : undefined
}
