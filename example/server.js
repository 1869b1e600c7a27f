'use strict'

/**
 * An Express app to click through: log in with any name, watch the view counter, log out.
 *
 * The port is `PORT`: 0 is any free one, and without it 3000 or, where that is taken, any free
 * one. `SESSION_SECRET` signs the cookies; without it they are good until the app ends.
 *
 * With `SESSIONS_PATH`, a folder, the sessions are in a file there, and so is a secret where there
 * is no `SESSION_SECRET`: a login survives a restart. With `REDIS_URL`, such as
 * redis://localhost:6379, they are in Redis or Valkey, and so is the secret: all apps with that URL
 * share them. `WORKERS` is a number of processes that serve the app, by node:cluster: with
 * `SESSIONS_PATH` or `REDIS_URL` they share the sessions.
 */

const cluster = require('node:cluster')
const { randomBytes } = require('node:crypto')
const { once } = require('node:events')
const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs')
const { createServer } = require('node:http')
const { join } = require('node:path')
const express = require('express')
const session = require('express-session')
const MemoryStore = require('memorystore-rs')(session)

const MINUTE = 60_000
const LIFETIME = 30 * MINUTE
const MAX_NAME = 40
const DEFAULT_PORT = 3000
const MAX_WORKERS = 64

/** The keys in Redis: of the sessions, and of the secret. */
const PREFIX = 'memorystore-rs-example:'
const SECRET = 'memorystore-rs-example-secret'

/** How long connections may take to finish once the app is told to end, in milliseconds. */
const GRACE = 1000

// Cookies of localhost are shared by all its ports, so the name keeps off other apps.
const COOKIE = 'memorystore-rs.sid'

/** What says who answered, where that is not always the same process. */
const { REDIS_URL, SESSIONS_PATH, WORKERS } = process.env
const ANSWERED = REDIS_URL || SESSIONS_PATH || WORKERS ? `, answered by process ${process.pid}` : ''

async function main() {
  const port = readPort(process.env.PORT)
  const workers = readWorkers(WORKERS)
  if (workers !== undefined && cluster.isPrimary) return runWorkers(workers, port)

  const client = REDIS_URL ? await connectRedis() : undefined
  const store = createSessionStore(client)
  const server = createServer(createApp(store, await secret(client)))
  endOnSignal(() => {
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
  const client = REDIS_URL ? await connectRedis() : undefined
  const env = { PORT: String(await listen(server, port)), SESSION_SECRET: await secret(client) }
  client?.destroy()
  server.close()
  await once(server, 'close')
  if (!SESSIONS_PATH && !REDIS_URL) {
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
    const client = createClient({ url: REDIS_URL, socket: { reconnectStrategy: false } })
    // Without a listener, a connection that is lost later would end the app.
    client.on('error', () => {})
    return await client.connect()
  } catch (err) {
    return quit(`cannot connect to REDIS_URL: ${err.message || err.code}`)
  }
}

/**
 * Anyone can log in, again and again: `max` bounds the memory that this can take.
 *
 * @param client of Redis, if the sessions are there
 */
function createSessionStore(client) {
  const where = client ? { redis: client, prefix: PREFIX } : { path: SESSIONS_PATH || undefined }
  try {
    return new MemoryStore({ checkPeriod: MINUTE, max: 100_000, ...where })
  } catch (err) {
    return quit(err.message)
  }
}

/** What signs the cookies. Where the sessions are kept it is kept beside them. */
async function secret(client) {
  const made = randomBytes(32).toString('hex')
  if (process.env.SESSION_SECRET) return process.env.SESSION_SECRET
  if (client) return (await client.set(SECRET, made, { NX: true, GET: true })) ?? made
  if (!SESSIONS_PATH) return made

  const file = join(SESSIONS_PATH, 'secret')
  try {
    mkdirSync(SESSIONS_PATH, { recursive: true, mode: 0o700 })
    if (existsSync(file)) return readFileSync(file, 'utf8')
    writeFileSync(file, made, { flag: 'wx', mode: 0o600 })
    return made
  } catch (err) {
    return quit(`cannot keep a secret in ${SESSIONS_PATH}: ${err.message}`)
  }
}

function createApp(store, secret) {
  const app = express()
  app.disable('x-powered-by')
  if (cluster.isWorker) app.use(closeConnection)
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
    if (req.session.name === undefined) return send(res, loginPage())
    req.session.views++
    // Otherwise the expiry would be renewed only once the page, which shows it, is made.
    req.session.touch()
    send(res, sessionPage(req.session, await store.length()))
  })

  app.post('/login', express.urlencoded({ extended: false }), (req, res, next) => {
    const name = readName(req.body)
    if (name === undefined) {
      return send(res.status(400), loginPage(`A name has 1 to ${MAX_NAME} characters.`))
    }
    // A new id, so that nobody can log in on an id that somebody else has planted.
    req.session.regenerate((err) => {
      if (err) return next(err)
      req.session.name = name
      req.session.views = 0
      req.session.save((err) => (err ? next(err) : res.redirect(303, '/')))
    })
  })

  app.post('/logout', (req, res, next) => {
    req.session.destroy((err) => {
      if (err) return next(err)
      res.clearCookie(COOKIE)
      res.redirect(303, '/')
    })
  })

  return app
}

/** Otherwise a browser would stay with one worker. */
function closeConnection(_req, res, next) {
  res.set('Connection', 'close')
  next()
}

function readName(body) {
  const name = typeof body?.name === 'string' ? body.name.trim() : ''
  return name.length > 0 && name.length <= MAX_NAME ? name : undefined
}

/** The pages are of one session: the way back in a browser must not show them after a logout. */
function send(res, page) {
  res.set('Cache-Control', 'no-store').send(page)
}

function loginPage(problem) {
  return layout(
    'Log in',
    `<h1>Log in</h1>
    <p>Any name will do. There is no password: this is an example.</p>
    <form method="post" action="/login">
      <label for="name">Name</label>
      <input id="name" name="name" required maxlength="${MAX_NAME}" autocomplete="off" autofocus>
      ${problem === undefined ? '' : `<p class="problem" role="alert">${escape(problem)}</p>`}
      <button>Log in</button>
    </form>`,
  )
}

function sessionPage({ name, views, cookie }, length) {
  const expires = cookie.expires.toISOString()
  return layout(
    'Your session',
    `<h1>Hello, ${escape(name)}</h1>
    <p>Every look at this page is counted in your session.</p>
    <dl>
      <dt>Views</dt><dd id="views">${escape(views)}</dd>
      <dt>Expires</dt><dd>${LIFETIME / MINUTE} minutes after the last view, now at
        <time datetime="${expires}">${expires.slice(11, 19)} UTC</time></dd>
      <dt>Sessions in the store</dt><dd>${escape(length)}</dd>
    </dl>
    <div class="actions">
      <form action="/"><button>View again</button></form>
      <form method="post" action="/logout"><button class="quiet">Log out</button></form>
    </div>`,
  )
}

function layout(title, content) {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escape(title)} - memorystore-rs</title>
  <link rel="icon" href="data:,">
  <style>
    :root { color-scheme: light; font: 16px/1.5 system-ui, sans-serif; }
    * { box-sizing: border-box; }
    body { margin: 0; padding: 12vh 1rem 2rem; background: #f4f5f7; color: #1d2433; }
    main { max-width: 27rem; margin: auto; padding: 2rem; background: #fff; border-radius: 12px;
      border: 1px solid #dfe3ea; box-shadow: 0 2px 10px #1d243312; }
    h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
    p { margin: 0 0 1.5rem; color: #566074; }
    label { display: block; margin-bottom: .25rem; font-weight: 600; }
    input { width: 100%; margin-bottom: 1rem; padding: .6rem .75rem; font: inherit;
      border: 1px solid #b9c0cd; border-radius: 8px; }
    button { padding: .6rem 1.1rem; font: inherit; font-weight: 600; color: #fff; cursor: pointer;
      background: #a8410f; border: 1px solid #a8410f; border-radius: 8px; }
    button:hover { background: #8c350b; }
    .quiet { color: #1d2433; background: #fff; border-color: #b9c0cd; }
    .quiet:hover { background: #f4f5f7; }
    :focus-visible { outline: 3px solid #f0a37e; outline-offset: 1px; }
    .problem { margin: 0 0 1rem; color: #b3261e; }
    dl { display: grid; grid-template-columns: auto 1fr; margin: 0 0 1.5rem;
      border-top: 1px solid #e6e9ef; }
    dt, dd { margin: 0; padding: .6rem 0; border-bottom: 1px solid #e6e9ef; }
    dt { padding-right: 1.5rem; color: #566074; }
    time { white-space: nowrap; }
    .actions { display: flex; gap: .75rem; }
    footer { margin-top: 1.5rem; font-size: .875rem; color: #566074; text-align: center; }
  </style>
</head>
<body>
  <main>
    ${content}
  </main>
  <footer>Sessions kept by memorystore-rs${ANSWERED}</footer>
</body>
</html>
`
}

function escape(value) {
  return String(value).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** The port that `text` asks for; undefined where it asks for none. */
function readPort(text) {
  if (text === undefined || text === '') return undefined
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65535) {
    quit(`PORT is ${JSON.stringify(text)}, but has to be a number from 0 to 65535`)
  }
  return port
}

/** How many workers `text` asks for; undefined where it asks for none. */
function readWorkers(text) {
  if (text === undefined || text === '') return undefined
  const count = Number(text)
  if (!/^\d+$/.test(text) || count < 1 || count > MAX_WORKERS) {
    quit(`WORKERS is ${JSON.stringify(text)}, but has to be a number from 1 to ${MAX_WORKERS}`)
  }
  return count
}

function quit(message) {
  console.error(message)
  process.exit(1)
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
