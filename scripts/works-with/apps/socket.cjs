'use strict'

const { createServer } = require('node:http')
const express = require('express')
const session = require('express-session')
const { Server } = require('socket.io')
const MemoryStore = require('memorystore-rs')(session)
const { announce, slow } = require('./gate.cjs')

const store = new MemoryStore({ checkPeriod: 60_000 })
const sessions = session({ secret: 'secret', resave: false, saveUninitialized: false, store })
const app = express()
app.use(express.json())
app.use(sessions)
app.get('/', (req, res) => {
  const { user, views = 0 } = req.session
  if (user) req.session.views = views + 1
  res.json({ user, views: req.session.views, messages: req.session.messages })
})
app.post('/login', (req, res) => {
  req.session.regenerate(() => {
    req.session.user = req.body.user
    res.json({})
  })
})
app.post('/logout', (req, res) => req.session.destroy(() => res.json({})))
app.get('/slow', async (req, res) => {
  req.session.views += 1
  await slow()
  res.json({})
})

const server = createServer(app)
const io = new Server(server)
// Sockets share the sessions with requests.
io.engine.use(sessions)
io.on('connection', (socket) => {
  const { request } = socket
  // The logout closes the socket, in whichever process it happens.
  const stop = store.watch(request.session.id, () => socket.disconnect(true))
  socket.on('disconnect', stop)
  socket.on('message', (done) => {
    request.session.messages = (request.session.messages ?? 0) + 1
    request.session.save(() => done(request.session.messages))
  })
})
server.listen(0, '127.0.0.1', () => announce(server.address().port))
