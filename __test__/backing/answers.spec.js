'use strict'

/** In which ways other stores answer, or do not, and what becomes of their errors. */

const test = require('ava')
const express = require('express')
const session = require('express-session')
const { oddStore } = require('../helpers/backings.js')
const { createClient, serve } = require('../helpers/http.js')
const { MemoryStore, callbackArguments } = require('../helpers/stores.js')

const HOUR = 3600_000

/** So long that no busy machine needs it. */
const PATIENT = { timeout: 600_000, maxStale: 0, touchAfter: 0 }

function open(t, methods, options) {
  const backing = oddStore(methods)
  const store = new MemoryStore({ ...PATIENT, ...options, backing })
  t.teardown(() => store.close())
  return { backing, store }
}

const fresh = (fields) => ({ cookie: new session.Cookie({ maxAge: HOUR }), ...fields })

async function load(store, sid) {
  return store.createSession({ sessionID: sid, sessionStore: store }, await store.get(sid))
}

function systemError(code, syscall) {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, syscall })
}

/** The methods of a store on a Map, made of functions that return or throw. */
function methodsBy(answer) {
  const sessions = new Map()
  return {
    get: answer((sid) => sessions.get(sid) && JSON.parse(sessions.get(sid))),
    set: answer((sid, value) => void sessions.set(sid, JSON.stringify(value))),
    touch: answer((sid, { cookie }) => {
      const stored = JSON.parse(sessions.get(sid))
      sessions.set(sid, JSON.stringify({ ...stored, cookie }))
    }),
    destroy: answer((sid) => void sessions.delete(sid)),
  }
}

const WAYS = {
  'at once, before they return':
    (work) =>
    (...args) =>
      args.pop()(null, work(...args)),
  twice:
    (work) =>
    (...args) => {
      const fn = args.pop()
      fn(null, work(...args))
      fn(new Error('again'))
    },
  'by promises alone': (work) =>
    work.length === 1 ? async (sid) => work(sid) : async (sid, value) => work(sid, value),
  'by promises, with a callback that is never called': (work) =>
    work.length === 1
      ? // eslint-disable-next-line no-unused-vars -- That it is there makes the difference.
        async (sid, fn) => work(sid) ?? null
      : // eslint-disable-next-line no-unused-vars -- That it is there makes the difference.
        async (sid, value, fn) => work(sid, value) ?? null,
  'by callbacks that come after their promises': (work) =>
    work.length === 1
      ? async (sid, fn) => void setImmediate(() => fn(null, work(sid)))
      : async (sid, value, fn) => void setImmediate(() => fn(null, work(sid, value))),
  'by callbacks and promises': (work) =>
    work.length === 1
      ? async (sid, fn) => {
          const result = await work(sid)
          fn(null, result)
          return result
        }
      : async (sid, value, fn) => {
          await work(sid, value)
          fn(null)
        },
}

for (const [way, answer] of Object.entries(WAYS)) {
  test(`stores that answer ${way} will do`, async (t) => {
    const { store } = open(t, methodsBy(answer))
    t.is(await store.get('sid'), undefined)
    const first = fresh({ n: 1 })
    await store.set('sid', first)
    const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
    one.a = 1
    other.b = 1
    await store.set('sid', one)
    await store.set('sid', other)
    await store.touch('sid', other)
    const { cookie, ...rest } = await store.get('sid')
    t.deepEqual(rest, { n: 1, a: 1, b: 1 })
    t.is(cookie.originalMaxAge, first.cookie.originalMaxAge)
    await store.destroy('sid')
    await store.set('sid', one)
    t.is(await store.get('sid'), undefined)
  })
}

for (const [what, none] of [
  ['null', null],
  ['undefined', undefined],
  ['false', false],
  ['an empty text', ''],
]) {
  test(`a get that gives ${what} has found no session`, async (t) => {
    const { store } = open(t, { get: (sid, fn) => fn(null, none) })
    t.deepEqual(await callbackArguments(store, 'get', 'sid'), [])
  })
}

// ---- no answer

test('a store that does not answer is given up after the timeout, and tried again', async (t) => {
  const silent = new Set(['get', 'set', 'destroy'])
  const memory = oddStore()
  const unless =
    (name) =>
    (...args) =>
      silent.has(name) ? undefined : memory[name](...args)
  const methods = { get: unless('get'), set: unless('set'), destroy: unless('destroy') }
  const { store } = open(t, methods, { timeout: 30 })
  const late = { code: 'ERR_MEMORYSTORE_TIMEOUT' }
  await t.throwsAsync(store.get('sid'), late)
  await t.throwsAsync(store.set('sid', fresh()), late)
  await t.throwsAsync(store.destroy('sid'), late)
  silent.clear()
  store.set('sid', fresh({ n: 1 })).catch(() => {})
  // The time is short: a busy machine may need longer once.
  let found
  while (!found) found = await store.get('sid').catch(() => {})
  t.is(found.n, 1)
})

test('what answers after the timeout changes nothing any more', async (t) => {
  let answer
  const { store } = open(t, { get: (sid, fn) => (answer = fn) }, { timeout: 20 })
  await t.throwsAsync(store.get('sid'), { code: 'ERR_MEMORYSTORE_TIMEOUT' })
  answer(null, fresh())
  answer(new Error('late'))
  t.pass()
})

// ---- errors

test('errors come as they are, however the store gives them', async (t) => {
  const error = Object.assign(new Error('down'), { code: 'ECONNREFUSED' })
  for (const fail of [
    (...args) => args.pop()(error),
    () => {
      throw error
    },
    () => Promise.reject(error),
  ]) {
    const { store } = open(t, { get: fail, set: fail, destroy: fail })
    t.is(await t.throwsAsync(store.get('sid')), error)
    t.is(await t.throwsAsync(store.set('sid', fresh())), error)
    t.is(await t.throwsAsync(store.destroy('sid')), error)
  }
})

test('a promise that is rejected without a reason is an error all the same', async (t) => {
  const { store } = open(t, { get: () => Promise.reject() })
  const [err] = await callbackArguments(store, 'get', 'sid')
  t.is(err.code, 'ERR_MEMORYSTORE_UNAVAILABLE')
})

test('a file that is not there is a session that is not there', async (t) => {
  const missing = (...args) => args.pop()(systemError('ENOENT', 'open'))
  const { store } = open(t, { get: missing, touch: missing, destroy: missing })
  t.deepEqual(await callbackArguments(store, 'get', 'sid'), [])
  await store.touch('sid', fresh())
  await store.destroy('sid')
})

test('a server that is not there is no session that is not there', async (t) => {
  let isDown = false
  const memory = oddStore()
  const get = (sid, fn) => (isDown ? fn(systemError('ENOENT', 'connect')) : memory.get(sid, fn))
  const { store } = open(t, { get, set: (...args) => memory.set(...args) })
  const app = express()
  app.use(session({ secret: 'test', resave: false, saveUninitialized: true, store }))
  app.get('/', (req, res) => res.json({}))
  // eslint-disable-next-line no-unused-vars -- Express knows an error handler by its parameters.
  app.use((err, req, res, next) => res.status(500).json({ code: err.code, cause: err.cause?.code }))
  const client = createClient(await serve(t, app))
  t.is((await client.get('/')).cookies.length, 1)
  isDown = true
  const { status, body, cookies } = await client.get('/')
  t.deepEqual(body, { code: 'ERR_MEMORYSTORE_UNAVAILABLE', cause: 'ENOENT' })
  t.deepEqual([status, cookies], [500, []])
})

test('a write whose session cannot be read is not done', async (t) => {
  let isDown = false
  const memory = oddStore()
  const get = (sid, fn) => (isDown ? fn(new Error('down')) : memory.get(sid, fn))
  const set = (...args) => memory.set(...args)
  const { store } = open(t, { get, set })
  await store.set('sid', fresh({ n: 1 }))
  const loaded = await load(store, 'sid')
  isDown = true
  loaded.n = 2
  await t.throwsAsync(store.set('sid', loaded), { message: 'down' })
  isDown = false
  t.is((await store.get('sid')).n, 1)
})

test('a touch that fails because the session is gone meanwhile is no error', async (t) => {
  const { store, backing } = open(t, {
    touch: (sid, value, fn) => {
      delete backing.memory.sessions[sid]
      fn(new Error('Unable to find the session to touch'))
    },
  })
  await store.set('sid', fresh())
  await store.touch('sid', await load(store, 'sid'))
  t.is(await store.get('sid'), undefined)
})

test('a touch that fails is an error otherwise', async (t) => {
  const { store } = open(t, { touch: (sid, value, fn) => fn(new Error('read-only')) })
  await store.set('sid', fresh())
  await t.throwsAsync(store.touch('sid', await load(store, 'sid')), { message: 'read-only' })
})

test('what was read is served while the store fails, with staleIfError alone', async (t) => {
  for (const staleIfError of [0, HOUR]) {
    let isDown = false
    const memory = oddStore()
    const get = (sid, fn) => (isDown ? fn(new Error('down')) : memory.get(sid, fn))
    const { store } = open(t, { get, set: (...args) => memory.set(...args) }, { staleIfError })
    await store.set('sid', fresh({ n: 1 }))
    isDown = true
    const read = store.get('sid')
    if (staleIfError === 0) await t.throwsAsync(read, { message: 'down' })
    else t.is((await read).n, 1)
  }
})

// ---- events

test('that the other store has no connection does not leave requests without a session', async (t) => {
  const { backing, store } = open(t)
  const events = []
  for (const name of ['connect', 'disconnect']) store.on(name, () => events.push(name))
  backing.emit('disconnect')
  backing.emit('connect')
  t.deepEqual(events, [])
})

test('close leaves the other store open', async (t) => {
  const backing = Object.assign(oddStore(), { close: () => t.fail('it was closed') })
  const store = new MemoryStore({ ...PATIENT, backing })
  await store.set('sid', fresh({ n: 1 }))
  await store.close()
  await t.throwsAsync(store.get('sid'), { code: 'ERR_MEMORYSTORE_CLOSED' })
  const [err, { n }] = await callbackArguments(backing, 'get', 'sid')
  t.deepEqual([err, n], [null, 1])
})

test('close waits for what is under way', async (t) => {
  const { store, backing } = open(t)
  const written = store.set('sid', fresh({ n: 1 }))
  await store.close()
  await written
  t.deepEqual(Object.keys(backing.memory.sessions), ['sid'])
})
