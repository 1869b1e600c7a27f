'use strict'

// The option `isActivity`: touches that do not count do nothing.

const express = require('express')
const FakeTimers = require('@sinonjs/fake-timers')
const session = require('express-session')
const test = require('ava')

const { createClient, serve } = require('./helpers/http.js')
const { MemoryStore, callbackArguments, watchWarnings } = require('./helpers/stores.js')

const MINUTE = 60_000
const TTL = 30 * MINUTE

const fakeDate = (t) => {
  const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  return clock
}

const newSession = (values) => ({ cookie: { path: '/' }, ...values })

for (const [title, isActivity, isAlive] of [
  ['polls do not renew a session', () => false, false],
  ['requests that count renew it', () => true, true],
  ['what is true or false by itself decides', (_session, sid) => sid.length, true],
]) {
  test.serial(title, async (t) => {
    const clock = fakeDate(t)
    const store = new MemoryStore({ ttl: TTL, isActivity })
    t.teardown(() => store.close())
    await store.set('a', newSession())
    for (let n = 0; n < 31; n++) {
      clock.tick(MINUTE)
      t.deepEqual(await callbackArguments(store, 'touch', 'a', newSession()), [null])
    }
    t.is((await store.get('a')) !== undefined, isAlive)
  })
}

test('a touch that does not count stores nothing', async (t) => {
  const store = new MemoryStore({ isActivity: () => false })
  await store.set('a', newSession())
  t.is(await store.touch('a', { cookie: { path: '/other' } }), undefined)
  t.deepEqual(await store.get('a'), newSession())
  t.is(store.stats().touches, 0)
})

test('set and get are not concerned', async (t) => {
  const store = new MemoryStore({
    isActivity: () => t.fail(),
  })
  await store.set('a', newSession({ n: 1 }))
  t.deepEqual(await store.get('a'), newSession({ n: 1 }))
})

test('it is given the session and the sid', async (t) => {
  const calls = []
  const isActivity = (...args) => calls.push(args) > 0
  const store = new MemoryStore({ isActivity })
  const a = newSession()
  await store.touch('a', a)
  t.deepEqual(calls, [[a, 'a']])
  t.is(calls[0][0], a)
})

test('an error that it throws goes to the callback, and nothing is touched', async (t) => {
  const failure = new Error('thrown')
  const isActivity = () => {
    throw failure
  }
  const store = new MemoryStore({ isActivity })
  await store.set('a', newSession())
  t.deepEqual(await callbackArguments(store, 'touch', 'a', newSession()), [failure])
  await t.throwsAsync(store.touch('a', newSession()), { is: failure })
  t.is(store.stats().touches, 0)
})

test('a promise is a TypeError to the callback', async (t) => {
  const store = new MemoryStore({ isActivity: async () => false })
  await store.set('a', newSession())
  const [err] = await callbackArguments(store, 'touch', 'a', newSession())
  t.true(err instanceof TypeError)
  t.regex(err.message, /`isActivity` returned a promise/)
})

test('a store that it closes refuses the touch', async (t) => {
  const store = new MemoryStore({ isActivity: () => store.close(() => {}) === undefined })
  const [err] = await callbackArguments(store, 'touch', 'a', newSession())
  t.is(err.code, 'ERR_MEMORYSTORE_CLOSED')
})

test('what is no function is warned of, and every touch is done', async (t) => {
  for (const isActivity of [true, 'poll', {}]) {
    const { value: store, warnings } = watchWarnings(() => new MemoryStore({ isActivity }))
    t.deepEqual(
      warnings.map(({ code, message }) => [code, message.includes('`isActivity` is')]),
      [['MEMORYSTORE_OPTION', true]],
    )
    await store.set('a', newSession())
    await store.touch('a', newSession())
    t.is(store.stats().touches, 1)
  }
  t.deepEqual(watchWarnings(() => new MemoryStore({ isActivity: false })).warnings, [])
})

test.serial('in an app, the routes that are polled do not count', async (t) => {
  const clock = fakeDate(t)
  const store = new MemoryStore({
    ttl: TTL,
    isActivity: ({ req }) => req.originalUrl !== '/api/poll',
  })
  const app = express()
  app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }))
  const api = express.Router()
  api.get('/poll', (req, res) => res.json(req.session.user ?? null))
  app.use('/api', api)
  app.get('/login', (req, res) => {
    req.session.user = 'ada'
    res.json('ada')
  })
  app.get('/page', (req, res) => res.json(req.session.user ?? null))
  const client = createClient(await serve(t, app))
  const poll = async () => (await client.get('/api/poll')).body
  await client.get('/login')
  for (let n = 0; n < 29; n++) {
    clock.tick(MINUTE)
    t.is(await poll(), 'ada')
  }
  t.is((await client.get('/page')).body, 'ada')
  for (let n = 0; n < 30; n++) {
    clock.tick(MINUTE)
    t.is(await poll(), 'ada')
  }
  clock.tick(1)
  t.is(await poll(), null)
})
