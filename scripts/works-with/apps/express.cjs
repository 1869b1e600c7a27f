'use strict'

const express = require('express')
const session = require('express-session')
const MemoryStore = require('memorystore-rs')(session)
const { announce, slow } = require('./gate.cjs')

const app = express()
const path = process.env.SESSIONS_PATH
const store = new MemoryStore({ checkPeriod: 60_000, path })
app.use(express.json())
app.use(session({ secret: 'secret', resave: false, saveUninitialized: false, store }))
app.get('/', (req, res) => {
  const { user, views = 0 } = req.session
  if (user) req.session.views = views + 1
  res.json({ user, views: req.session.views })
})
app.post('/login', (req, res, next) => {
  req.session.regenerate((err) => {
    if (err) return next(err)
    req.session.user = req.body.user
    res.json({})
  })
})
app.post('/logout', (req, res, next) => {
  req.session.destroy((err) => (err ? next(err) : res.json({})))
})
app.get('/slow', async (req, res) => {
  req.session.views += 1
  await slow()
  res.json({ pid: process.pid })
})
app.get('/pid', (req, res) => res.json({ pid: process.pid }))
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  announce(server.address().port)
})
