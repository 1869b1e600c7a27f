'use strict'

/**
 * Fastify apps with @fastify/session and the store, used over a real port: the same tests for
 * the class that extends EventEmitter, made without express-session, and for the one that
 * extends express-session's Store. @fastify/session calls get, set and destroy only, never touch.
 */

const { EventEmitter } = require('node:events')
const test = require('ava')
const FakeTimers = require('@sinonjs/fake-timers')
const fastify = require('fastify')
const fastifyCookie = require('@fastify/cookie')
const fastifySession = require('@fastify/session')
const expressSession = require('express-session')
const createMemoryStore = require('..')
const { createClient } = require('./helpers/http.js')

const HOUR = 3_600_000
const DAY = 24 * HOUR

const BareStore = createMemoryStore()
const ExpressStore = createMemoryStore(expressSession)

/** Runs a test with each kind of store. */
function each(title, body, declare = test) {
  declare(`bare store: ${title}`, body, BareStore)
  declare(`express-session's Store: ${title}`, body, ExpressStore)
}

/** As `each`, with a faked date as the last argument. */
function eachWithClock(title, body) {
  const run = (t, MemoryStore) => {
    const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    return body(t, MemoryStore, clock)
  }
  each(title, run, test.serial)
}

/** Starts an app with a login, a counter and a logout, and whatever routes `extend` adds. */
async function start(t, MemoryStore, options = {}, extend = () => {}) {
  const store = new MemoryStore(options.store)
  const app = fastify({ forceCloseConnections: true })
  t.teardown(async () => {
    await app.close()
    await store.close()
  })
  app.register(fastifyCookie)
  app.register(fastifySession, {
    secret: 'a secret of at least 32 characters',
    store,
    saveUninitialized: false,
    ...options.session,
    cookie: { secure: false, ...options.cookie },
  })
  addRoutes(app)
  extend(app)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { store, client: () => createClient(url) }
}

function addRoutes(app) {
  app.post('/login', async (request) => {
    await request.session.regenerate()
    request.session.set('name', request.body.name)
    return {}
  })
  app.get('/me', async (request) => ({ name: request.session.get('name') ?? null }))
  app.get('/view', async ({ session }) => {
    session.views = (session.views ?? 0) + 1
    return { name: session.name ?? null, views: session.views }
  })
  app.post('/logout', async (request) => {
    await request.session.destroy()
    return {}
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
  return decodeURIComponent(client.jar.get('sessionId')).split('.')[0]
}

each('the counter counts each visitor on their own', async (t, MemoryStore) => {
  const app = await start(t, MemoryStore)
  const [ada, bob] = [app.client(), app.client()]
  for (const views of [1, 2, 3]) t.is((await ada.get('/view')).body.views, views)
  t.is((await bob.get('/view')).body.views, 1)
  t.is((await ada.get('/view')).body.views, 4)
})

each('a login regenerates: the old sid is gone, and worth nothing', async (t, MemoryStore) => {
  const app = await start(t, MemoryStore)
  const ada = app.client()
  await ada.get('/view')
  const planted = ada.copy()
  const oldSid = sidOf(ada)
  t.deepEqual(await app.store.ids(), [oldSid])

  await login(ada, 'Ada')
  t.not(sidOf(ada), oldSid)
  t.deepEqual(await app.store.ids(), [sidOf(ada)])
  t.deepEqual((await ada.get('/view')).body, { name: 'Ada', views: 1 })
  t.is(await nameOf(planted), null)
})

each('a logout ends the session, also for who kept the cookie', async (t, MemoryStore) => {
  const app = await start(t, MemoryStore)
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

each('saveUninitialized decides whether a visitor is stored', async (t, MemoryStore) => {
  for (const saveUninitialized of [false, true]) {
    const app = await start(t, MemoryStore, { session: { saveUninitialized } })
    await app.client().get('/me')
    t.is(await app.store.length(), saveUninitialized ? 1 : 0)
  }
})

each('save stores at once, reload takes back what was not saved', async (t, MemoryStore) => {
  const app = await start(t, MemoryStore, {}, (app) => {
    app.get('/draft', async (request) => {
      request.session.draft = 'saved'
      await request.session.save()
      request.session.draft = 'not saved'
      await request.session.reload()
      return { draft: request.session.draft }
    })
  })
  const ada = app.client()
  t.is((await ada.get('/draft')).body.draft, 'saved')
})

each('50 users at once each see their own session', async (t, MemoryStore) => {
  const app = await start(t, MemoryStore)
  async function visit(number) {
    const client = app.client()
    const name = `Юзер ${number}`
    await login(client, name)
    for (const views of [1, 2, 3]) {
      t.deepEqual((await client.get('/view')).body, { name, views })
    }
  }
  await Promise.all(Array.from({ length: 50 }, (_, number) => visit(number)))
  t.is(await app.store.length(), 50)
})

each('max logs out whoever was away for longest', async (t, MemoryStore) => {
  const app = await start(t, MemoryStore, { store: { max: 2 } })
  const [ada, bob, cyd] = [app.client(), app.client(), app.client()]
  await login(ada, 'Ada')
  await login(bob, 'Bob')
  await nameOf(ada)
  await login(cyd, 'Cyd')
  t.deepEqual(await Promise.all([ada, bob, cyd].map(nameOf)), ['Ada', null, 'Cyd'])
})

each('an error of the store is an error of the request', async (t, MemoryStore) => {
  const app = await start(t, MemoryStore)
  const ada = app.client()
  await login(ada, 'Ada')
  await app.store.close()
  for (const client of [ada, app.client()]) {
    const { status, body } = await client.get('/view')
    t.is(status, 500)
    t.is(body.code, 'ERR_MEMORYSTORE_CLOSED')
  }
})

eachWithClock(
  'rolling true: a session ends maxAge after the last request',
  async (t, MemoryStore, clock) => {
    const app = await start(t, MemoryStore, { cookie: { maxAge: HOUR } })
    const ada = app.client()
    await login(ada, 'Ada')
    for (let i = 0; i < 3; i++) {
      clock.tick(HOUR - 1)
      t.is(await nameOf(ada), 'Ada')
    }
    t.truthy(await app.store.get(sidOf(ada)))
    clock.tick(HOUR + 1)
    t.is(await app.store.get(sidOf(ada)), undefined)
    t.is(await nameOf(ada), null)
  },
)

eachWithClock(
  'rolling false: a session ends maxAge after its last change',
  async (t, MemoryStore, clock) => {
    const app = await start(t, MemoryStore, {
      session: { rolling: false },
      cookie: { maxAge: HOUR },
    })
    const ada = app.client()
    await login(ada, 'Ada')
    clock.tick(HOUR / 2)
    await ada.get('/view')
    clock.tick(HOUR / 2)
    t.is(await nameOf(ada), 'Ada')
    clock.tick(HOUR / 2 + 1)
    t.is(await app.store.get(sidOf(ada)), undefined)
    t.is(await nameOf(ada), null)
  },
)

eachWithClock(
  'without maxAge a session ends a day after the last request',
  async (t, MemoryStore, clock) => {
    const app = await start(t, MemoryStore)
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

eachWithClock(
  'cookie.expires, a fixed date, ends a session on that date',
  async (t, MemoryStore, clock) => {
    const app = await start(t, MemoryStore, { cookie: { expires: new Date(Date.now() + HOUR) } })
    const ada = app.client()
    await login(ada, 'Ada')
    clock.tick(HOUR - 1)
    t.is(await nameOf(ada), 'Ada')
    clock.tick(2)
    t.is(await app.store.get(sidOf(ada)), undefined)
    t.is(await nameOf(ada), null)
  },
)

eachWithClock(
  'a maxAge that a handler sets is of milliseconds and holds from then on',
  async (t, MemoryStore, clock) => {
    const app = await start(t, MemoryStore, { cookie: { maxAge: HOUR } }, (app) => {
      app.post('/remember', async (request) => {
        request.session.options({ maxAge: 7 * DAY })
        return {}
      })
    })
    const ada = app.client()
    await login(ada, 'Ada')
    await ada.post('/remember')
    for (let i = 0; i < 2; i++) {
      clock.tick(7 * DAY - 1)
      t.is(await nameOf(ada), 'Ada')
    }
    clock.tick(7 * DAY + 1)
    t.is(await nameOf(ada), null)
  },
)

/** Calls a method with a callback; returns what that got, and how. */
function call(store, method, ...args) {
  return new Promise((resolve) => {
    let isLater = false
    store[method](...args, (...results) => resolve({ isLater, results }))
    isLater = true
  })
}

each('get, set and destroy keep the contract of a store by themselves', async (t, MemoryStore) => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const session = { cookie: { maxAge: HOUR }, name: 'Ada' }

  t.deepEqual(await call(store, 'get', 'sid'), { isLater: true, results: [] })
  t.deepEqual(await call(store, 'set', 'sid', session), { isLater: true, results: [null] })
  t.deepEqual(await call(store, 'get', 'sid'), { isLater: true, results: [null, session] })
  t.deepEqual(await call(store, 'destroy', 'sid'), { isLater: true, results: [null] })
  t.deepEqual(await call(store, 'destroy', 'sid'), { isLater: true, results: [null] })
  t.deepEqual(await call(store, 'get', 'sid'), { isLater: true, results: [] })
})

test('the bare store is an EventEmitter and no Store of express-session', (t) => {
  const store = new BareStore()
  t.teardown(() => store.close())
  t.true(store instanceof EventEmitter)
  t.false(store instanceof expressSession.Store)
})
