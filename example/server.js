'use strict'

/**
 * An Express app to click through: log in with any name, watch the view counter, see where you are
 * logged in, log out.
 *
 * The port is `PORT`: 0 is any free one, and without it 3000 or, where that is taken, any free
 * one. `SESSION_SECRET` signs the cookies; without it they are good until the app ends.
 *
 * With `SESSIONS_PATH`, a folder, the sessions are in a file there: a login survives a restart.
 * With `REDIS_URL`, such as redis://localhost:6379, they are in Redis or Valkey: all apps with that
 * URL share them. With either, and without `SESSION_SECRET`, the secret is made once and kept in
 * the file `SECRET_FILE`, which is example/.secret if it is not given, and never where the sessions
 * are. Apps on several machines need the same `SESSION_SECRET`.
 *
 * `WORKERS` is a number of processes that serve the app, by node:cluster: with `SESSIONS_PATH` or
 * `REDIS_URL` they share the sessions.
 *
 * With `OPERATOR_TOKEN`, 16 characters or more, there is a page for the operator at /operator. The
 * browser asks for a name, which may be any, and a password, which is that token; so serve it by
 * HTTPS. `OPERATOR_MINUTES` is how far back its charts go, 10 minutes if it is not given.
 */

const cluster = require('node:cluster')
const { once } = require('node:events')
const { createServer } = require('node:http')
const session = require('express-session')
const MemoryStore = require('memorystore-rs')(session)
const { createApp } = require('./app.js')
const { LENGTH } = require('./operator/history.js')
const { gather, sample } = require('./operator/sampler.js')
const { readSecret } = require('./secret.js')
const settings = require('./settings.js')

const { operatorToken, quit, redisUrl, sessionsPath } = settings

const MINUTE = 60_000
const DEFAULT_PORT = 3000

/** How many sessions there may be in all, and of one user. */
const MAX = 100_000
const MAX_PER_USER = 20

/** What the keys of the sessions in Redis begin with. */
const PREFIX = 'memorystore-rs-example:'

/** How long connections may take to finish once the app is told to end, in milliseconds. */
const GRACE = 1000

/** How often the operator's figures are sampled, in milliseconds. */
const PERIOD = (settings.operatorMinutes * MINUTE) / LENGTH

async function main() {
  const { port, workers } = settings
  if (workers !== undefined && cluster.isPrimary) return runWorkers(workers, port)

  const secret = readSecret()
  const client = redisUrl ? await connectRedis() : undefined
  const store = createSessionStore(client)
  const sampler = operatorToken ? sample(store, PERIOD) : undefined
  const server = createServer(createApp(store, secret, sampler?.samples))
  endOnSignal(() => {
    sampler?.stop()
    server.close(() => {
      store.close(() => cluster.worker?.disconnect())
      client?.destroy()
    })
    // Browsers keep connections open on which they have asked for nothing yet.
    setTimeout(() => server.closeAllConnections(), GRACE).unref()
  })
  const listening = await listen(server, port)
  if (cluster.isPrimary) sayOpen(listening)
}

/** Has `count` processes serve the app. One that dies is replaced. */
async function runWorkers(count, port) {
  // They are all given the same port and the same secret.
  const server = createServer()
  const env = { SESSION_SECRET: readSecret(), PORT: String(await listen(server, port)) }
  server.close()
  await once(server, 'close')
  if (operatorToken) gather(PERIOD, Boolean(sessionsPath))
  if (!sessionsPath && !redisUrl) {
    console.error(
      'Without SESSIONS_PATH or REDIS_URL each worker has sessions of its own, and a login is lost',
    )
  }

  let starting = count
  let isEnding = false
  const working = new Set()
  const start = () => {
    const worker = cluster.fork(env)
    worker.once('listening', () => {
      working.add(worker)
      if (--starting === 0) sayOpen(env.PORT)
    })
  }
  cluster.on('exit', (worker, code) => {
    if (isEnding) return
    // It has said why.
    if (!working.delete(worker)) process.exit(code || 1)
    start()
  })
  endOnSignal(() => {
    isEnding = true
    for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM')
  })
  for (let n = 0; n < count; n++) start()
}

/** Returns the port. */
async function listen(server, port) {
  server.on('error', (err) => {
    if (err.code === 'EADDRINUSE' && port === undefined) server.listen(0)
    else quit(`cannot listen on port ${port ?? DEFAULT_PORT}: ${err.message}`)
  })
  server.listen(port ?? DEFAULT_PORT)
  await new Promise((resolve) => server.once('listening', resolve))
  return server.address().port
}

function sayOpen(port) {
  console.log(`Open http://localhost:${port}`)
}

async function connectRedis() {
  const { createClient } = require('redis')
  try {
    // Whoever starts the app with a wrong URL is told so. The store connects again by itself.
    const client = createClient({ url: redisUrl, socket: { reconnectStrategy: false } })
    // Without a listener, a connection that is lost later would end the app.
    client.on('error', () => {})
    return await client.connect()
  } catch (err) {
    return quit(`cannot connect to REDIS_URL: ${err.message || err.code}`)
  }
}

/**
 * Anyone can log in, again and again: the limits bound the memory that this can take, and how long
 * the list of a user gets.
 *
 * @param client of Redis, if the sessions are there
 */
function createSessionStore(client) {
  const where = client ? { redis: client, prefix: PREFIX } : { path: sessionsPath }
  const limits = { max: MAX, maxPerUser: MAX_PER_USER }
  try {
    return new MemoryStore({ checkPeriod: MINUTE, user: 'name', ...limits, ...where })
  } catch (err) {
    return quit(err.message)
  }
}

/**
 * Ends the app by closing what keeps it alive, which `close` does. Later signals change nothing:
 * npm repeats the one that a terminal has sent already.
 */
function endOnSignal(close) {
  let isEnding = false
  const end = () => {
    if (!isEnding) close()
    isEnding = true
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
}

main()
