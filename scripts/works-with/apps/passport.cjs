'use strict'

const express = require('express')
const session = require('express-session')
const passport = require('passport')
const { Strategy } = require('passport-local')
const MemoryStore = require('memorystore-rs')(session)
const { announce, slow } = require('./gate.cjs')

// Passport stores the user under session.passport.user.
const store = new MemoryStore({ checkPeriod: 60_000, user: 'passport.user' })
passport.use(
  new Strategy({ usernameField: 'user', passwordField: 'user' }, (name, _password, done) => {
    done(null, { id: name })
  }),
)
passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, { id }))

const app = express()
app.use(express.json())
app.use(session({ secret: 'secret', resave: false, saveUninitialized: false, store }))
app.use(passport.session())
app.get('/', (req, res) => {
  if (req.user) req.session.views = (req.session.views ?? 0) + 1
  res.json({ user: req.user?.id, views: req.session.views, cart: req.session.cart })
})
app.post('/login', passport.authenticate('local'), (req, res) => res.json({}))
app.post('/logout', (req, res, next) => {
  req.logout((err) => (err ? next(err) : res.json({})))
})
app.get('/slow', async (req, res) => {
  req.session.views += 1
  await slow()
  res.json({})
})
// Before the login: what keepSessionInfo keeps.
app.post('/cart', (req, res) => {
  req.session.cart = 'full'
  res.json({})
})
const keeping = passport.authenticate('local', { keepSessionInfo: true })
app.post('/login-keeping', keeping, (req, res) => res.json({}))
// Whose sessions the store counts.
app.get('/devices/:user', async (req, res) => {
  res.json({ devices: (await store.sessionsOf(req.params.user)).length })
})
app.post('/end/:user', async (req, res) => {
  res.json({ ended: await store.destroyUser(req.params.user) })
})
const server = app.listen(0, '127.0.0.1', () => announce(server.address().port))
