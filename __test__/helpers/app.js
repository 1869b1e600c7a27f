'use strict'

// The app of a cluster, as people run it: Express and express-session, with the store on the path
// SESSIONS_PATH. The primary process only starts the workers:
// - the message 'roll' has it start workers of the next version of the app, and when they serve,
//   end the old ones;
// - a worker that was killed is replaced.
// It tells the port that all share, and the workers' process ids whenever they change.

const cluster = require('node:cluster')
const { once } = require('node:events')

const WORKERS = 4

if (cluster.isPrimary) startPrimary()
else startWorker()

async function startPrimary() {
  let version = 1
  const start = async () => {
    const worker = cluster.fork({ APP_VERSION: version })
    const [{ port }] = await once(worker, 'listening')
    return port
  }
  const startAll = () => Promise.all(Array.from({ length: WORKERS }, start))
  const tell = (what) => {
    const pids = Object.values(cluster.workers).map((worker) => worker.process.pid)
    process.send({ ...what, pids })
  }
  // Workers end with the primary, and it with the test.
  process.on('disconnect', () => process.exit())
  cluster.on('exit', async (worker) => {
    if (worker.exitedAfterDisconnect) return
    await start()
    tell({ replaced: worker.process.pid })
  })
  process.on('message', async () => {
    version++
    const old = Object.values(cluster.workers)
    await startAll()
    for (const worker of old) worker.disconnect()
    await Promise.all(old.map((worker) => once(worker, 'exit')))
    tell({ rolled: version })
  })
  const [port] = await startAll()
  tell({ port })
}

function startWorker() {
  const express = require('express')
  const session = require('express-session')
  const MemoryStore = require('../..')(session)

  const version = Number(process.env.APP_VERSION)
  // The next version of an app may well have other options.
  const options = version > 1 ? { mapSize: 256 << 20, checkPeriod: 500, touchAfter: 1000 } : {}
  const store = new MemoryStore({ path: process.env.SESSIONS_PATH, ...options })

  const app = express()
  app.use((req, res, next) => {
    // The primary hands connections, not requests, to the workers in turn.
    res.set({ connection: 'close', 'x-pid': process.pid, 'x-version': version })
    next()
  })
  app.use(session({ secret: 'test', resave: false, saveUninitialized: false, store }))
  app.post('/login/:name', (req, res, next) => {
    req.session.regenerate((err) => {
      if (err) return next(err)
      req.session.name = req.params.name
      res.json({})
    })
  })
  app.get('/me', (req, res) => {
    res.json({ ...req.session, cookie: undefined })
  })
  app.post('/keys/:key', (req, res) => {
    req.session[req.params.key] = version
    res.json({})
  })
  // Has read the session when it sends the head of the answer, and writes when the client has
  // sent the last of the request.
  app.post('/slow/:key', async (req, res) => {
    res.flushHeaders()
    await once(req.resume(), 'end')
    req.session[req.params.key] = version
    res.end()
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((err) => (err ? next(err) : res.json({})))
  })
  app.listen(0, '127.0.0.1')
}
