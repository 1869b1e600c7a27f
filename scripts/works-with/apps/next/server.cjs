'use strict'

const { createServer } = require('node:http')
const session = require('express-session')
const next = require('next')
const MemoryStore = require('memorystore-rs')(session)
const { announce, slow } = require('./gate.cjs')

const store = new MemoryStore({ checkPeriod: 60_000 })
const sessions = session({ secret: 'secret', resave: false, saveUninitialized: false, store })

async function start() {
  const app = next({ dev: false, dir: __dirname })
  await app.prepare()
  const handle = app.getRequestHandler()
  const server = createServer((req, res) => {
    // The routes of Next.js get the same request, with its session.
    sessions(req, res, (err) => {
      if (err) return res.writeHead(500).end()
      req.slow = slow // not a copy of gate.cjs in a bundle
      handle(req, res)
    })
  })
  server.listen(0, '127.0.0.1', () => announce(server.address().port))
}

start()
