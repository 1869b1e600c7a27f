'use strict'

const { createServer } = require('node:http')
const express = require('express')
const { auth } = require('express-openid-connect')
const MemoryStore = require('memorystore-rs')(auth)
const { announce } = require('./gate.cjs')

const app = express()
const server = createServer(app).listen(0, '127.0.0.1', () => {
  const { port } = server.address()
  // auth does not tell the store which sessions it loaded.
  const store = new MemoryStore({ checkPeriod: 60_000, destroyed: 'final' })
  app.use(
    auth({
      issuerBaseURL: process.env.ISSUER,
      baseURL: `http://127.0.0.1:${port}`,
      clientID: 'client',
      secret: 's'.repeat(32),
      authRequired: false,
      idpLogout: false,
      session: { store, cookie: { secure: false } },
    }),
  )
  app.get('/who', (req, res) => res.json({ user: req.oidc.user?.sub }))
  announce(port)
})
