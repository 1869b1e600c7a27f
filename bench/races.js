'use strict'

/**
 * Who loses what: requests of one session that overlap, through Express and express-session over
 * a real port, on any store. `node bench/races.js` prints a table of the stores that are
 * installed; the tests run the same races on memorystore-rs alone.
 *
 * A request that is to be slow stops at a gate after it has read its session, and is let on when
 * the others are done. So the outcome does not depend on timing.
 */

const { once } = require('node:events')
const { createServer } = require('node:http')
const express = require('express')
const session = require('express-session')

const COOKIE = 'connect.sid'

/**
 * Starts an app on `store`. Returns its `client()`s, `gate(name)`, where requests of
 * `/slow?gate=name` stop, and `stop()`.
 */
function startApp(store, options, framework) {
  return startMachines([store], options, framework)
}

/**
 * As startApp, with an app for each of `stores`, which share their sessions: as many machines behind
 * a load balancer. They take turns in answering requests.
 */
async function startMachines(stores, options = {}, framework = express) {
  const gates = new Map()
  const gate = (name) => {
    if (!gates.has(name)) gates.set(name, newGate())
    return gates.get(name)
  }
  const servers = await Promise.all(
    stores.map((store) => listen(appOn(store, options, framework, gate))),
  )
  const urls = servers.map((server) => `http://127.0.0.1:${server.address().port}`)
  let requests = 0
  const nextUrl = () => urls[requests++ % urls.length]
  const stop = () => {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
  }
  return { store: stores[0], gate, stop, client: (cookie) => newClient(nextUrl, cookie) }
}

function appOn(store, options, framework, gate) {
  const app = framework()
  const defaults = { secret: 'races', resave: false, saveUninitialized: false }
  app.use(session({ ...defaults, ...options, store }))
  app.use(framework.json())
  addRoutes(app, gate)
  return app
}

async function listen(app) {
  const server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** Where requests wait: `arrived(n)` resolves when there are n, `open()` lets them on. */
function newGate() {
  let open
  const isOpen = new Promise((resolve) => (open = resolve))
  let count = 0
  let check = () => {}
  return {
    open,
    pass: () => {
      count++
      check()
      return isOpen
    },
    arrived: (n) =>
      new Promise((resolve) => {
        check = () => count >= n && resolve()
        check()
      }),
  }
}

function addRoutes(app, gate) {
  const change = (session, { set = {}, inside = {}, add = [], drop = [], maxAge }) => {
    Object.assign(session, set)
    for (const [key, members] of Object.entries(inside)) {
      session[key] = { ...session[key], ...members }
    }
    if (maxAge !== undefined) session.cookie.maxAge = maxAge
    for (const key of add) session[key] = (session[key] ?? 0) + 1
    for (const key of drop) delete session[key]
  }
  app.post('/login', (req, res, next) => {
    req.session.regenerate((err) => {
      if (err) return next(err)
      Object.assign(req.session, req.body)
      res.json({})
    })
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((err) => (err ? next(err) : res.json({})))
  })
  app.post('/change', (req, res) => {
    change(req.session, req.body)
    res.json({})
  })
  app.post('/slow', async (req, res) => {
    await gate(req.query.gate).pass()
    change(req.session, req.body)
    res.json({})
  })
  app.get('/session', (req, res) => {
    res.json({ ...req.session, cookie: undefined })
  })
  app.get('/lifetime', (req, res) => {
    res.json(req.session.cookie.originalMaxAge)
  })
}

/** A browser, which has the cookie it was given last. */
function newClient(nextUrl, cookie = '') {
  const request = async (method, path, body) => {
    const response = await fetch(nextUrl() + path, {
      method,
      // On a busy machine a connection that is kept may be closed just when it is used again.
      headers: { cookie: client.cookie, 'content-type': 'application/json', connection: 'close' },
      body: body && JSON.stringify(body),
    })
    for (const given of response.headers.getSetCookie()) {
      if (given.startsWith(COOKIE)) client.cookie = given.split(';')[0]
    }
    if (response.status !== 200) throw new Error(`${path} answered with ${response.status}`)
    return response.json()
  }
  const client = {
    cookie,
    post: (path, body = {}) => request('POST', path, body),
    session: () => request('GET', '/session'),
    lifetime: () => request('GET', '/lifetime'),
  }
  return client
}

/** Logs somebody in, and starts `bodies.length` slow requests, which have read the session. */
async function beginSlow(app, name, bodies, session = { user: 'ada' }) {
  const client = app.client()
  await client.post('/login', session)
  const gate = app.gate(name)
  const slow = bodies.map((body) => app.client(client.cookie).post(`/slow?gate=${name}`, body))
  await gate.arrived(bodies.length)
  const finish = () => {
    gate.open()
    return Promise.all(slow)
  }
  return { client, finish }
}

/** In milliseconds. */
const MONTH = 30 * 86400_000

const WRITE = { set: { page: 'slow' } }

/** Somebody is logged out by `end` while a slow request is under way. Is it for good? */
async function staysLoggedOut(app, name, end) {
  const { client, finish } = await beginSlow(app, name, [WRITE])
  const before = app.client(client.cookie)
  await end(client)
  await finish()
  const { user } = await before.session()
  return user === undefined
}

/** How many keys of as many parallel requests, each of which sets its own, are kept. */
async function keysKept(app, name, count) {
  const bodies = Array.from({ length: count }, (_, n) => ({ set: { [`key${n}`]: n } }))
  const { client, finish } = await beginSlow(app, name, bodies)
  await finish()
  const kept = await client.session()
  return bodies.filter((_, n) => kept[`key${n}`] === n).length
}

/**
 * For each race, what it is about, and what of it is kept: true, false, or a part. Those with
 * `options` are only for stores that know them.
 */
const RACES = {
  logout: {
    title: 'A logout during a slow request stays a logout',
    run: (app) => staysLoggedOut(app, 'logout', (client) => client.post('/logout')),
  },
  regenerate: {
    title: 'A session does not survive a login under its old id',
    run: (app) =>
      staysLoggedOut(app, 'regenerate', (client) => client.post('/login', { user: 'bob' })),
  },
  clear: {
    title: '`clear()` during a slow request leaves nothing',
    run: (app) =>
      staysLoggedOut(
        app,
        'clear',
        () => new Promise((done, fail) => app.store.clear((err) => (err ? fail(err) : done()))),
      ),
  },
  ended: {
    title: 'A session ended by `destroyUser` during a slow request stays ended',
    options: { user: 'user' },
    isFor: (store) => typeof store.destroyUser === 'function',
    run: (app) => staysLoggedOut(app, 'ended', () => app.store.destroyUser('ada')),
  },
  ten: {
    title: 'Ten parallel requests each set a key of their own',
    run: async (app) => `${await keysKept(app, 'ten', 10)} of 10`,
  },
  hundred: {
    title: 'A hundred parallel requests do',
    run: async (app) => `${await keysKept(app, 'hundred', 100)} of 100`,
  },
  deletion: {
    title: 'A deleted key stays deleted beside another request’s write',
    run: async (app) => {
      const session = { user: 'ada', draft: 'x' }
      const { client, finish } = await beginSlow(app, 'deletion', [WRITE], session)
      await client.post('/change', { drop: ['draft'] })
      await finish()
      const { draft, page } = await client.session()
      return draft === undefined && page === 'slow'
    },
  },
  nested: {
    title: 'Two parallel requests put different things into one cart',
    run: async (app) => {
      const pears = { inside: { cart: { pears: 1 } } }
      const { client, finish } = await beginSlow(app, 'nested', [pears])
      await client.post('/change', { inside: { cart: { apples: 1 } } })
      await finish()
      const { cart } = await client.session()
      return cart.apples === 1 && cart.pears === 1
    },
  },
  removal: {
    title: 'A logout by `delete session.user` holds beside a change of `user.lastSeen`',
    run: async (app) => {
      const seen = { inside: { user: { lastSeen: 2 } } }
      const session = { user: { name: 'ada', lastSeen: 1 } }
      const { client, finish } = await beginSlow(app, 'removal', [seen], session)
      await client.post('/change', { drop: ['user'] })
      await finish()
      return (await client.session()).user === undefined
    },
  },
  remember: {
    title: '“Remember me” (`cookie.maxAge`) stays beside a request that only reads',
    run: async (app) => {
      const { client, finish } = await beginSlow(app, 'remember', [{}])
      await client.post('/change', { maxAge: MONTH })
      await finish()
      // express-session reads the clock twice when it renews a cookie: a millisecond may be lost.
      return MONTH - (await client.lifetime()) < 1000
    },
  },
  counter: {
    title: 'A counter that two requests raise at once counts both',
    run: async (app) => {
      const { client, finish } = await beginSlow(app, 'counter', [{ add: ['n'] }])
      await client.post('/change', { add: ['n'] })
      await finish()
      return (await client.session()).n === 2
    },
  },
}

/** Runs all races on the stores that are installed and prints a table. */
async function main() {
  const { reasonForAbsence, makeFolder } = require('./stores.js')
  const { redisServer } = require('./environment.js')
  const { startServer } = require('../__test__/helpers/redis-servers.js')
  const redis = redisServer() && (await startServer(redisServer()))
  const folder = makeFolder()
  const where = { redisPort: redis?.port, path: folder.path }
  const columns = columnsOf().filter(
    ({ name, isOnRedis }) => reasonForAbsence(name) === undefined && (!isOnRedis || redis),
  )
  const rows = new Map(Object.keys(RACES).map((race) => [race, []]))
  for (const column of columns) {
    const kept = await runRaces(column, where)
    for (const [race, cells] of rows) cells.push(word(kept[race]))
  }
  redis?.kill()
  folder.remove()
  if (!redis) console.log('what needs Redis is missing: there is no redis-server\n')
  const titles = columns.map(({ title }) => title)
  console.log(`| | ${titles.join(' | ')} |\n| --- |${' --- |'.repeat(columns.length)}`)
  for (const [race, cells] of rows) console.log(`| ${RACES[race].title} | ${cells.join(' | ')} |`)
}

/** What the table shows: each store in one process, and those on Redis on two machines. */
function columnsOf() {
  const { STORES, FLOOR, REDIS, REDIS_TUNED, OURS_REDIS, ON_REDIS, PEERS } = require('./stores.js')
  const without = [FLOOR, REDIS_TUNED, OURS_REDIS, ...PEERS]
  const names = Object.keys(STORES).filter((name) => !without.includes(name))
  return [
    ...names.map((name) => ({ name, title: name, stores: 1, isOnRedis: ON_REDIS.includes(name) })),
    ...[OURS_REDIS, REDIS].map((name) => {
      return { name, title: `${name}, two machines`, stores: 2, isOnRedis: true }
    }),
  ]
}

/**
 * What is kept of each race on one store, or on several with connections of their own; undefined for
 * what such a store does not do.
 */
async function runRaces(column, where) {
  const kept = {}
  await runOn(column, where, {}, async (app) => {
    for (const [race, { options, run }] of Object.entries(RACES)) {
      if (options === undefined) kept[race] = await run(app)
    }
  })
  for (const [race, { options, isFor, run }] of Object.entries(RACES)) {
    if (options === undefined) continue
    await runOn(column, where, options, async (app) => {
      if (isFor(app.store)) kept[race] = await run(app)
    })
  }
  return kept
}

/** Calls `run` with an app on one store, or on several with connections of their own. */
async function runOn({ name, title, stores }, where, options, run) {
  const { openStore } = require('./stores.js')
  const given = { checkPeriod: 0, ...options }
  const open = () => openStore(name, given, { ...where, prefix: `${title}:` })
  const opened = await Promise.all(Array.from({ length: stores }, open))
  const app = await startMachines(opened.map(({ store }) => store))
  await run(app)
  app.stop()
  for (const { stop } of opened) await stop()
}

function word(kept) {
  if (kept === undefined) return '–'
  if (typeof kept === 'string') return kept
  return kept ? 'yes' : '**no**'
}

module.exports = { RACES, startApp, startMachines }

if (require.main === module) main()
