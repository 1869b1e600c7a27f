'use strict'

/**
 * Express apps with express-session and the store, used over a real port: the same tests for
 * Express 5 and Express 4. The tests that fake the date run alone, one after the other.
 */

const { execFile } = require('node:child_process')
const { once, EventEmitter } = require('node:events')
const { promisify } = require('node:util')
const test = require('ava')
const FakeTimers = require('@sinonjs/fake-timers')
const express = require('express')
const express4 = require('express4')
const session = require('express-session')
const MemoryStore = require('..')(session)
const { serve, createClient } = require('./helpers/http.js')
const { until } = require('./helpers/stores.js')

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const COOKIE = 'connect.sid'

/** Runs a test with each version of Express. */
function each(title, body, declare = test) {
  declare(`Express 5: ${title}`, body, express)
  declare(`Express 4: ${title}`, body, express4)
}

/** As `each`, with a faked date as the last argument. */
function eachWithClock(title, body) {
  const run = (t, express) => {
    const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    return body(t, express, clock)
  }
  each(title, run, test.serial)
}

/**
 * Starts an app with a login, a counter and a logout, and whatever routes `extend` adds.
 * Errors that reach the error handler are emitted by `errors`.
 */
async function start(t, express, options = {}, extend = () => {}) {
  const store = new MemoryStore(options.store)
  t.teardown(() => store.close())
  const errors = new EventEmitter()
  const app = express()
  app.use(
    session({ secret: 'test', resave: false, saveUninitialized: false, ...options.session, store }),
  )
  app.use(express.json({ limit: '4mb' }))
  addRoutes(app)
  extend(app)
  // eslint-disable-next-line no-unused-vars -- Express knows an error handler by its parameters.
  app.use((err, req, res, next) => {
    errors.emit('failed', err)
    if (!res.headersSent) res.status(500).json({ code: err.code, message: err.message })
  })
  const url = await serve(t, app)
  return { store, errors, client: () => createClient(url) }
}

function addRoutes(app) {
  app.post('/login', (req, res, next) => {
    req.session.regenerate((err) => {
      if (err) return next(err)
      req.session.name = req.body.name
      res.json({})
    })
  })
  app.get('/me', (req, res) => res.json({ name: req.session.name ?? null }))
  app.get('/view', (req, res) => {
    req.session.views = (req.session.views ?? 0) + 1
    res.json({ name: req.session.name ?? null, views: req.session.views })
  })
  app.post('/logout', (req, res, next) => {
    req.session.destroy((err) => (err ? next(err) : res.json({})))
  })
}

async function login(client, name) {
  const { status } = await client.post('/login', { name })
  if (status !== 200) throw new Error(`the login of ${name} failed with ${status}`)
}

async function nameOf(client) {
  const { body } = await client.get('/me')
  return body.name
}

/** The sid in the client's cookie. */
function sidOf(client) {
  return /^s:([^.]+)\./.exec(decodeURIComponent(client.jar.get(COOKIE)))[1]
}

each('the counter counts each visitor on their own', async (t, express) => {
  const app = await start(t, express)
  const [ada, bob] = [app.client(), app.client()]
  for (const views of [1, 2, 3]) t.is((await ada.get('/view')).body.views, views)
  t.is((await bob.get('/view')).body.views, 1)
  t.is((await ada.get('/view')).body.views, 4)
})

each('a login regenerates: the old sid is gone, and worth nothing', async (t, express) => {
  const app = await start(t, express)
  const ada = app.client()
  await ada.get('/view')
  const planted = ada.copy()
  const oldSid = sidOf(ada)

  await login(ada, 'Ada')
  t.not(sidOf(ada), oldSid)
  t.deepEqual(await app.store.ids(), [sidOf(ada)])
  t.deepEqual((await ada.get('/view')).body, { name: 'Ada', views: 1 })
  t.is(await nameOf(planted), null)
})

each('a logout ends the session, also for who kept the cookie', async (t, express) => {
  const app = await start(t, express)
  const [ada, bob] = [app.client(), app.client()]
  await login(ada, 'Ada')
  await login(bob, 'Bob')
  const kept = ada.copy()
  t.is(await nameOf(kept), 'Ada')

  await ada.post('/logout')
  t.is(await nameOf(ada), null)
  t.is(await nameOf(kept), null)
  t.is(await nameOf(bob), 'Bob')
  t.is(await app.store.length(), 1)
})

each('unset: destroy removes the session that a handler sets to null', async (t, express) => {
  const app = await start(t, express, { session: { unset: 'destroy' } }, (app) => {
    app.post('/forget', (req, res) => {
      req.session = null
      res.json({})
    })
  })
  const ada = app.client()
  await login(ada, 'Ada')
  await ada.post('/forget')
  t.is(await app.store.length(), 0)
  t.is(await nameOf(ada), null)
})

each(
  'saveUninitialized false: who only looks gets neither cookie nor session',
  async (t, express) => {
    const app = await start(t, express)
    const { cookies } = await app.client().get('/me')
    t.deepEqual(cookies, [])
    t.is(await app.store.length(), 0)
  },
)

each('saveUninitialized true: who only looks gets both', async (t, express) => {
  const app = await start(t, express, { session: { saveUninitialized: true } })
  const visitor = app.client()
  await visitor.get('/me')
  t.deepEqual(await app.store.ids(), [sidOf(visitor)])
  await visitor.get('/me')
  t.is(await app.store.length(), 1)
})

/**
 * A request that only reads, and ends after another one has changed the same session. Returns
 * what the session holds in the end.
 */
async function raceReadAgainstWrite(t, express, resave) {
  const arrived = new EventEmitter()
  const app = await start(t, express, { session: { resave } }, (app) => {
    app.get('/slow', async (req, res) => {
      const released = once(arrived, 'release')
      arrived.emit('slow')
      await released
      res.json({})
    })
  })
  const ada = app.client()
  await ada.get('/view')
  const reached = once(arrived, 'slow')
  const slow = ada.get('/slow')
  await reached
  await ada.get('/view')
  arrived.emit('release')
  await slow
  return (await app.store.get(sidOf(ada))).views
}

each('resave false: a request that only read leaves what others wrote', async (t, express) => {
  t.is(await raceReadAgainstWrite(t, express, false), 2)
})

each('resave true: a request that only read leaves what others wrote', async (t, express) => {
  t.is(await raceReadAgainstWrite(t, express, true), 2)
})

eachWithClock('a session ends maxAge after the last request', async (t, express, clock) => {
  for (const resave of [false, true]) {
    const app = await start(t, express, { session: { resave, cookie: { maxAge: HOUR } } })
    const ada = app.client()
    await login(ada, 'Ada')
    for (let i = 0; i < 3; i++) {
      clock.tick(HOUR - 1)
      t.is(await nameOf(ada), 'Ada', `request ${i}, resave ${resave}`)
    }
    clock.tick(HOUR + 1)
    t.is(await nameOf(ada), null, `resave ${resave}`)
  }
})

eachWithClock(
  'a session without maxAge ends a day after the last request',
  async (t, express, clock) => {
    const app = await start(t, express)
    const ada = app.client()
    await login(ada, 'Ada')
    for (let i = 0; i < 2; i++) {
      clock.tick(DAY)
      t.is(await nameOf(ada), 'Ada')
    }
    clock.tick(DAY + 1)
    t.is(await nameOf(ada), null)
  },
)

eachWithClock('rolling true: every answer sets the cookie anew', async (t, express, clock) => {
  const app = await start(t, express, { session: { rolling: true, cookie: { maxAge: HOUR } } })
  const ada = app.client()
  await login(ada, 'Ada')
  clock.tick(HOUR / 2)
  const { cookies } = await ada.get('/me')
  t.is(cookies.length, 1)
  // The cookie's date has whole seconds.
  const expires = Math.floor((Date.now() + HOUR) / 1000) * 1000
  t.true(cookies[0].includes(`Expires=${new Date(expires).toUTCString()}`), cookies[0])
})

eachWithClock(
  'rolling false: a read sets no cookie, but the store goes on',
  async (t, express, clock) => {
    const app = await start(t, express, { session: { rolling: false, cookie: { maxAge: HOUR } } })
    const ada = app.client()
    await login(ada, 'Ada')
    clock.tick(HOUR / 2)
    t.deepEqual((await ada.get('/me')).cookies, [])
    const { cookie } = await app.store.get(sidOf(ada))
    t.is(cookie.expires, new Date(Date.now() + HOUR).toISOString())
    t.is(cookie.originalMaxAge, HOUR)
  },
)

eachWithClock('a maxAge that a handler changes holds from then on', async (t, express, clock) => {
  const app = await start(t, express, { session: { cookie: { maxAge: HOUR } } }, (app) => {
    app.post('/remember', (req, res) => {
      req.session.cookie.maxAge = req.body.maxAge
      res.json({})
    })
  })
  const ada = app.client()
  await login(ada, 'Ada')
  await ada.post('/remember', { maxAge: 7 * DAY })
  for (let i = 0; i < 2; i++) {
    clock.tick(7 * DAY)
    t.is(await nameOf(ada), 'Ada')
  }
  await ada.post('/remember', { maxAge: MINUTE })
  clock.tick(MINUTE)
  t.is(await nameOf(ada), 'Ada')
  clock.tick(MINUTE + 1)
  t.is(await nameOf(ada), null)
})

eachWithClock('the option ttl outlives the cookie', async (t, express, clock) => {
  const app = await start(t, express, {
    store: { ttl: DAY },
    session: { cookie: { maxAge: HOUR } },
  })
  const ada = app.client()
  await login(ada, 'Ada')
  clock.tick(DAY)
  t.is(await nameOf(ada), 'Ada')
  clock.tick(DAY + 1)
  t.is(await nameOf(ada), null)
})

eachWithClock(
  'sessions of people who left are pruned without a request',
  async (t, express, clock) => {
    const app = await start(t, express, {
      store: { checkPeriod: 10 },
      session: { cookie: { maxAge: HOUR } },
    })
    for (const name of ['Ada', 'Bob']) await login(app.client(), name)
    clock.tick(HOUR / 2)
    const cyd = app.client()
    await login(cyd, 'Cyd')
    t.is(await app.store.length(), 3)

    clock.tick(HOUR / 2 + 1)
    await until(async () => (await app.store.length()) < 3)
    t.is(await nameOf(cyd), 'Cyd')
    await until(async () => (await app.store.length()) === 1)
    t.deepEqual(await app.store.ids(), [sidOf(cyd)])
  },
)

each('save stores at once, reload takes back what was not saved', async (t, express) => {
  const app = await start(t, express, {}, (app) => {
    app.get('/draft', (req, res, next) => {
      req.session.draft = 'saved'
      req.session.save((err) => {
        if (err) return next(err)
        req.session.draft = 'not saved'
        req.session.reload((err) => (err ? next(err) : res.json({ draft: req.session.draft })))
      })
    })
  })
  const ada = app.client()
  t.is((await ada.get('/draft')).body.draft, 'saved')
  t.is((await app.store.get(sidOf(ada))).draft, 'saved')
})

each('reload fails where the session has been destroyed meanwhile', async (t, express) => {
  const app = await start(t, express, {}, (app) => {
    app.get('/reload', async (req, res, next) => {
      await req.sessionStore.destroy(req.sessionID)
      req.session.reload((err) => (err ? next(err) : res.json({})))
    })
  })
  const ada = app.client()
  await login(ada, 'Ada')
  const { status, body } = await ada.get('/reload')
  t.is(status, 500)
  t.is(body.message, 'failed to load session')
})

each('all the sessions of a user can be found and ended', async (t, express) => {
  const app = await start(t, express, {}, (app) => {
    app.post('/logout-everywhere', async (req, res) => {
      const sessions = Object.entries(await req.sessionStore.all())
      const mine = sessions.filter(([, { name }]) => name === req.session.name)
      await req.sessionStore.destroy(mine.map(([sid]) => sid))
      delete req.session
      res.json({ ended: mine.length })
    })
  })
  const [laptop, phone, bob] = [app.client(), app.client(), app.client()]
  await login(laptop, 'Ada')
  await login(phone, 'Ada')
  await login(bob, 'Bob')
  t.is((await phone.post('/logout-everywhere')).body.ended, 2)
  t.deepEqual(await Promise.all([laptop, phone, bob].map(nameOf)), [null, null, 'Bob'])
})

each('200 users at once each see their own session', async (t, express) => {
  const app = await start(t, express, { store: { checkPeriod: 10 } })
  async function visit(number) {
    const client = app.client()
    const name = `user ${number}`
    await login(client, name)
    const seen = []
    for (let i = 0; i < 5; i++) seen.push((await client.get('/view')).body)
    const expected = [1, 2, 3, 4, 5].map((views) => ({ name, views }))
    t.deepEqual(seen, expected)
    if (number % 2 === 0) await client.post('/logout')
  }
  await Promise.all(Array.from({ length: 200 }, (_, number) => visit(number)))
  t.is(await app.store.length(), 100)
})

each('max logs out whoever was away for longest', async (t, express) => {
  const app = await start(t, express, { store: { max: 2 } })
  const [ada, bob, cyd] = [app.client(), app.client(), app.client()]
  await login(ada, 'Ada')
  await login(bob, 'Bob')
  await nameOf(ada)
  await login(cyd, 'Cyd')
  t.deepEqual(await Promise.all([ada, bob, cyd].map(nameOf)), ['Ada', null, 'Cyd'])
})

/** Whether the session data come back from a later request, and again after a touch. */
async function keeps(t, express, data) {
  const app = await start(t, express, {}, (app) => {
    app.post('/data', (req, res) => {
      req.session.data = req.body.data
      res.json({})
    })
    app.get('/data', (req, res) => res.json({ data: req.session.data }))
  })
  const ada = app.client()
  await ada.post('/data', { data })
  for (const request of ['first', 'second']) {
    t.deepEqual((await ada.get('/data')).body.data, data, request)
  }
}

each('session data of any characters come back as they were', async (t, express) => {
  await keeps(t, express, {
    latin: 'Zoë Müller, ¡olé!',
    wide: 'Ада Лавлейс, 吾輩は猫である, שלום',
    astral: '👩‍🚀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢',
    odd: 'NUL \u0000, a lone surrogate \ud800, \u2028, "quotes" \\ and }',
    ключ: { cookie: 'not the cookie' },
  })
})

each('session data of 1 MB come back as they were', async (t, express) => {
  await keeps(t, express, 'abcdefgh'.repeat(2 ** 17))
  await keeps(t, express, 'Ада 👩‍🚀 '.repeat(2 ** 16))
})

each('an error of the store in reading reaches the error handler', async (t, express) => {
  const app = await start(t, express)
  const ada = app.client()
  await login(ada, 'Ada')
  await app.store.close()
  const { status, body } = await ada.get('/me')
  t.is(status, 500)
  t.is(body.code, 'ERR_MEMORYSTORE_CLOSED')
})

each('an error of the store in writing reaches the error handler', async (t, express) => {
  const app = await start(t, express)
  await app.store.close()
  const failed = once(app.errors, 'failed')
  await app.client().get('/view')
  const [err] = await failed
  t.is(err.code, 'ERR_MEMORYSTORE_CLOSED')
})

each('an error of the serializer reaches the error handler', async (t, express) => {
  const parse = () => {
    throw new Error('unreadable')
  }
  const stringify = (session) => {
    if (session.name === 'Bob') throw new Error('unwritable')
    return JSON.stringify(session)
  }
  const app = await start(t, express, { store: { serializer: { parse, stringify } } })
  const [ada, bob] = [app.client(), app.client()]

  await login(ada, 'Ada')
  const { status, body } = await ada.get('/me')
  t.is(status, 500)
  t.is(body.message, 'unreadable')

  const failed = once(app.errors, 'failed')
  await login(bob, 'Bob')
  const [err] = await failed
  t.is(err.message, 'unwritable')
})

each('a serializer of Buffers serves an app', async (t, express) => {
  const serializer = {
    stringify: (session) => Buffer.from(JSON.stringify(session)).reverse(),
    parse: (body) => JSON.parse(Buffer.from(body).reverse()),
  }
  const app = await start(t, express, { store: { serializer } })
  const ada = app.client()
  await login(ada, 'Ада')
  for (const views of [1, 2]) {
    t.deepEqual((await ada.get('/view')).body, { name: 'Ада', views })
    t.is(await nameOf(ada), 'Ада')
  }
})

const run = promisify(execFile)

/** What an app in production prints that uses `store`, a JavaScript expression. */
async function printedInProduction(name, store) {
  const script = `
    const session = require('express-session')
    const app = require('${name}')()
    app.use(session({ secret: 'test', resave: false, saveUninitialized: false, store: ${store} }))
    const server = app.listen(0, () => server.close())
  `
  const env = { ...process.env, NODE_ENV: 'production' }
  const { stdout, stderr } = await run(process.execPath, ['-e', script], { cwd: __dirname, env })
  return stdout + stderr
}

for (const name of ['express', 'express4']) {
  test(`${name}: nothing is printed in production`, async (t) => {
    t.regex(await printedInProduction(name, 'undefined'), /MemoryStore is not/)
    const ours = "new (require('memorystore-rs')(session))({ checkPeriod: 86400000 })"
    t.is(await printedInProduction(name, ours), '')
  })
}
