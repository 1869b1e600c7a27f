'use strict'

/** What a store asks of the one that keeps its sessions, and gives to it. */

const { types } = require('node:util')
const test = require('ava')
const session = require('express-session')
const { oddStore } = require('../helpers/backings.js')
const {
  MemoryStore,
  callbackArguments,
  disposingStore,
  watchWarnings,
} = require('../helpers/stores.js')

const HOUR = 3600_000

const PATIENT = { timeout: 600_000 }

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

const namesOf = ({ calls }) => calls.map(([name]) => name)

// ---- options

for (const [kind, backing] of [
  ['null', null],
  ['a number', 5],
  ['a boolean', true],
  ['an object', {}],
  ['an object', new Map()],
  ['an array', []],
  ['a function', session.MemoryStore],
  ['an object', { get() {}, set() {} }],
]) {
  test(`a backing that is no store is a TypeError that shows the call: ${kind} ${typeof backing}, ${backing?.constructor?.name}, ${Object.keys(backing ?? {})}`, (t) => {
    t.throws(() => new MemoryStore({ backing }), {
      instanceOf: TypeError,
      message: `memorystore-rs: the option \`backing\` is ${kind}; it has to be an express-session store, an object with the methods get, set and destroy: new MemoryStore({ backing: new (require('connect-pg-simple')(session))({ pool }) })`,
    })
  })
}

test('a client of Redis is a TypeError that shows the option redis', (t) => {
  const backing = require('redis').createClient()
  t.throws(() => new MemoryStore({ backing }), {
    instanceOf: TypeError,
    message: /is a client of Redis; .* new MemoryStore\(\{ redis: client \}\)$/,
  })
})

for (const other of ['path', 'name', 'redis']) {
  test(`a backing together with ${other} is a TypeError`, (t) => {
    const options = { backing: oddStore(), [other]: 'sessions' }
    t.throws(() => new MemoryStore(options), {
      instanceOf: TypeError,
      message: new RegExp(`\`backing\` and \`${other}\` cannot be combined`),
    })
  })
}

test('a backing that is undefined is none', async (t) => {
  const store = new MemoryStore({ backing: undefined })
  t.is(store.stats().roundTrips, undefined)
  await store.close()
})

test('options that mean nothing here give a warning, those that do give none', (t) => {
  const backing = oddStore()
  const options = {
    backing,
    timeout: 5000,
    maxStale: 10,
    staleIfError: 100,
    max: 10,
    touchAfter: 5,
  }
  t.deepEqual(watchWarnings(() => new MemoryStore(options)).warnings, [])
  const { warnings } = watchWarnings(() => new MemoryStore({ backing, prefix: 'x:', ttl: 5 }))
  t.deepEqual(
    warnings.map(({ message }) => message),
    [
      'memorystore-rs: the option `ttl` is 5, but should be given to the store that is the `backing`; it is ignored',
      'memorystore-rs: the option `prefix` is a string, but should be given together with `redis` only; it is ignored',
    ],
  )
})

// ---- what it is given

test('the other store is given cookies that answer as those of express-session', async (t) => {
  const { backing, store } = open(t)
  const cookie = new session.Cookie({ maxAge: HOUR, sameSite: 'lax' })
  await store.set('sid', { cookie, user: 'ada' })
  const [[, sid, given]] = backing.calls
  t.is(sid, 'sid')
  t.deepEqual(given.cookie.expires, cookie.expires)
  t.is(given.cookie.originalMaxAge, cookie.originalMaxAge)
  t.true(given.cookie.maxAge <= HOUR && given.cookie.maxAge > 0)
  t.is(JSON.stringify(given), JSON.stringify({ cookie, user: 'ada' }))
  given.cookie.maxAge = 2 * HOUR
  t.true(given.cookie.maxAge > HOUR)
})

test('a cookie without an end has none there either', async (t) => {
  const { backing, store } = open(t)
  await store.set('sid', { cookie: new session.Cookie() })
  const [[, , given]] = backing.calls
  t.deepEqual([given.cookie.maxAge, given.cookie.expires], [null, null])
})

test('the other store may change what it is given, and what it gives stays as it is', async (t) => {
  const kept = new Map()
  const { store } = open(t, {
    get: (sid, fn) => fn(null, kept.get(sid)),
    set: (sid, value, fn) => {
      value.noted = true
      kept.set(sid, value)
      fn()
    },
  })
  const mine = fresh({ n: 1 })
  await store.set('sid', mine)
  t.false('noted' in mine)
  const read = await store.get('sid')
  read.n = 2
  read.cookie.path = '/changed'
  t.deepEqual([kept.get('sid').n, kept.get('sid').cookie.path], [1, '/'])
})

test('dates that the other store puts into a session it gets back as dates', async (t) => {
  const memory = oddStore()
  const get = (sid, fn) =>
    memory.get(sid, (err, found) => fn(err, found && { ...found, lastModified: new Date(0) }))
  const { backing, store } = open(
    t,
    { get, set: (...args) => memory.set(...args), touch: (...args) => memory.touch(...args) },
    { maxStale: 0, touchAfter: 0 },
  )
  await store.set('sid', fresh())
  await store.touch('sid', await load(store, 'sid'))
  const [, , given] = backing.calls.find(([name]) => name === 'touch')
  t.true(types.isDate(given.lastModified))
})

test('a note of the time that the other store keeps in a session is no change', async (t) => {
  let time = 0
  const memory = oddStore()
  const set = (sid, value, fn) =>
    memory.set(sid, Object.assign(value, { __lastAccess: ++time }), fn)
  const { store } = open(t, { get: (...args) => memory.get(...args), set })
  await store.set('sid', fresh())
  const loaded = await load(store, 'sid')
  for (let n = 0; n < 3; n++) {
    loaded.n = n
    await store.set('sid', loaded)
  }
  t.is(store.stats().merges, 0)
})

test('a session that is over from the start is destroyed there', async (t) => {
  const { backing, store } = open(t)
  await store.set('sid', fresh())
  const loaded = await load(store, 'sid')
  loaded.cookie.maxAge = 0
  await store.set('sid', loaded)
  t.deepEqual(backing.memory.sessions, Object.create(null))
  t.is(await store.get('sid'), undefined)
})

// ---- touches

test('a page view costs nothing there while the session was just read and renewed', async (t) => {
  const { backing, store } = open(t, {}, { maxStale: HOUR })
  await store.set('sid', fresh())
  backing.calls.length = 0
  for (let n = 0; n < 10; n++) {
    const loaded = await load(store, 'sid')
    loaded.touch()
    await store.touch('sid', loaded)
  }
  t.deepEqual(backing.calls, [])
  t.is(store.stats().cacheHits, 10)
})

test('touches are left out though a touch there leaves the cookie alone', async (t) => {
  const { backing, store } = open(
    t,
    { touch: (sid, value, fn) => fn() },
    { maxStale: 0, touchAfter: HOUR / 4 },
  )
  const cookie = new session.Cookie({ maxAge: HOUR })
  cookie.expires = new Date(Date.now() + HOUR / 2)
  cookie.originalMaxAge = HOUR
  await store.set('sid', { cookie })
  for (let n = 0; n < 3; n++) {
    const loaded = await load(store, 'sid')
    loaded.touch()
    await store.touch('sid', loaded)
  }
  t.is(namesOf(backing).filter((name) => name === 'touch').length, 1)
  const { expires } = (await store.get('sid')).cookie
  t.true(Date.parse(expires) > Date.now() + HOUR / 2, 'and the cookie says how long it lives')
})

test('where there is no touch the session is set', async (t) => {
  const { backing, store } = open(t, { touch: undefined }, { touchAfter: 0 })
  await store.set('sid', fresh({ n: 1 }))
  const loaded = await load(store, 'sid')
  const expires = new Date(Date.now() + 2 * HOUR)
  loaded.cookie.expires = expires
  await store.touch('sid', loaded)
  t.deepEqual(namesOf(backing), ['set', 'get', 'set'])
  const stored = JSON.parse(backing.memory.sessions.sid)
  t.is(stored.n, 1)
  t.true(Math.abs(Date.parse(stored.cookie.expires) - expires) < 60_000)
})

test('a cookie with other changes than its end is set, not touched', async (t) => {
  const { backing, store } = open(t, {}, { touchAfter: 0 })
  await store.set('sid', fresh({ n: 1 }))
  const loaded = await load(store, 'sid')
  loaded.cookie.maxAge = 30 * 24 * HOUR
  await store.touch('sid', loaded)
  t.false(namesOf(backing).includes('touch'))
  const { n, cookie } = JSON.parse(backing.memory.sessions.sid)
  t.deepEqual([n, cookie.originalMaxAge], [1, loaded.cookie.originalMaxAge])
})

test('a touch of a session that is gone brings nothing back', async (t) => {
  for (const touch of [undefined, oddStore().touch]) {
    const { backing, store } = open(t, { touch }, { touchAfter: 0 })
    await store.set('sid', fresh())
    const loaded = await load(store, 'sid')
    delete backing.memory.sessions.sid
    await store.touch('sid', loaded)
    t.deepEqual(Object.keys(backing.memory.sessions), [])
  }
})

// ---- lists

const LISTS = {
  ids: { ids: (fn) => fn(null, ['a', 'b']), all: undefined },
  'all by sid': { all: (fn) => fn(null, { a: fresh(), b: fresh() }) },
  'all with ids': { all: (fn) => fn(null, [{ id: 'a' }, { id: 'b' }]) },
}

for (const [name, { ids, ...methods }] of Object.entries(LISTS)) {
  test(`sessions are listed by ${name}`, async (t) => {
    const { backing, store } = open(t, { ...methods, length: undefined, clear: undefined })
    if (ids) backing.ids = ids
    await store.set('a', fresh({ n: 1 }))
    await store.set('b', fresh({ n: 2 }))
    t.deepEqual(await store.ids(), ['a', 'b'])
    t.is(await store.length(), 2)
    const keys = []
    for await (const sid of store.keys()) keys.push(sid)
    t.deepEqual(keys, ['a', 'b'])
    const { a, b } = await store.all()
    t.deepEqual([a.n, b.n], [1, 2])
    const entries = []
    for await (const [sid, { n }] of store.entries()) entries.push([sid, n])
    t.deepEqual(entries, [
      ['a', 1],
      ['b', 2],
    ])
    await store.clear()
    t.deepEqual(Object.keys(backing.memory.sessions), [])
  })
}

test('where the sids cannot be had the error says what is missing', async (t) => {
  const without = (missing) => ({
    code: 'ERR_MEMORYSTORE_UNSUPPORTED',
    message: `memorystore-rs: the sessions cannot be listed: the store given as \`backing\` has ${missing}`,
  })
  for (const [methods, missing] of [
    [{ all: undefined }, 'neither `ids` nor `all`'],
    [{ all: (fn) => fn(null, [fresh()]) }, 'no `ids`, and an `all` that does not tell the sids'],
  ]) {
    const { store } = open(t, { ...methods, length: undefined })
    await t.throwsAsync(store.ids(), without(missing))
    await t.throwsAsync(store.all(), without(missing))
    await t.throwsAsync(store.length(), without(missing))
    await t.throwsAsync(store.keys().next(), without(missing))
    await t.throwsAsync(store.entries().next(), without(missing))
  }
  const { store } = open(t, { all: undefined, clear: undefined })
  await t.throwsAsync(store.clear(), {
    code: 'ERR_MEMORYSTORE_UNSUPPORTED',
    message: /cannot be cleared: .* has neither `ids` nor `all`$/,
  })
  t.is(await store.length(), 0, 'but what there is works')
})

test('clear and length are left to the other store if it has them', async (t) => {
  const { backing, store } = open(t, { all: undefined })
  await store.set('sid', fresh())
  t.is(await store.length(), 1)
  const loaded = await load(store, 'sid')
  await store.clear()
  await store.set('sid', loaded)
  t.is(await store.get('sid'), undefined)
  t.deepEqual(Object.keys(backing.memory.sessions), [])
})

test('a clear protects from being written again what the other store can list', async (t) => {
  for (const [all, isProtected] of [
    [(fn) => fn(null, { sid: fresh() }), true],
    [(fn) => fn(null, [fresh()]), false],
    [undefined, false],
  ]) {
    const { store } = open(t, { all }, { destroyed: 'final' })
    await store.set('sid', fresh())
    await store.clear()
    await store.set('sid', fresh())
    t.is(await store.length(), isProtected ? 0 : 1)
  }
})

test('sessions that this process removes or overwrites are disposed of', async (t) => {
  const Store = class extends MemoryStore {
    constructor(options) {
      super({ ...PATIENT, ...options, backing: oddStore() })
    }
  }
  const { store, disposed } = disposingStore(Store)
  t.teardown(() => store.close())
  await store.set('a', { cookie: {}, n: 1 })
  await store.set('a', { cookie: {}, n: 2 })
  await store.destroy('a')
  await store.set('b', { cookie: {}, n: 3 })
  await store.clear()
  t.deepEqual(
    disposed.map(([sid, body]) => [sid, JSON.parse(body).n]),
    [
      ['a', 1],
      ['a', 2],
      ['b', 3],
    ],
  )
})

test('callbacks get what promises do', async (t) => {
  const { store } = open(t)
  await store.set('sid', fresh({ n: 1 }))
  const [err, found] = await callbackArguments(store, 'get', 'sid')
  t.deepEqual([err, found.n], [null, 1])
  t.deepEqual(await callbackArguments(store, 'length'), [null, 1])
})
