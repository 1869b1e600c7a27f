'use strict'

/**
 * What memorystore 1.6.8 does, one behaviour a test. `behaviour` runs a test twice, on this
 * package and on memorystore itself, so that what is expected here is known to be true there.
 * What only this package has to do (its exports, its warnings) is tested once. The date is
 * faked and stands still unless a test moves it.
 */

const { EventEmitter } = require('node:events')
const { inspect } = require('node:util')
const FakeTimers = require('@sinonjs/fake-timers')
const session = require('express-session')
const test = require('ava')

const createMemoryStore = require('..')
const { runScript } = require('./helpers/process.js')
const {
  MemoryStore,
  Reference,
  callbackArguments,
  disposingStore,
  storedText,
  watchWarnings,
} = require('./helpers/stores.js')

const DAY = 86400000
const NOW = 1_700_000_000_000
const FAKED = ['Date', 'setInterval', 'clearInterval']

/** Runs `run(t, Store, clock)` on both packages. */
function behaviour(title, run) {
  for (const [name, Store] of Object.entries({
    'memorystore-rs': MemoryStore,
    memorystore: Reference,
  })) {
    test.serial(`${title} (${name})`, async (t) => {
      const clock = FakeTimers.install({ toFake: FAKED, now: NOW })
      t.teardown(() => clock.uninstall())
      await run(t, Store, clock)
    })
  }
}

const lasting = (maxAge, more) => ({ cookie: { maxAge }, ...more })
const ids = async (store) => (await callbackArguments(store, 'ids'))[1]
const length = async (store) => (await callbackArguments(store, 'length'))[1]
const has = async (store, sid) => (await callbackArguments(store, 'get', sid)).length > 0
const fill = (store, ...sids) => Promise.all(sids.map((sid) => store.set(sid, { cookie: {}, sid })))
const body = (sid) => JSON.stringify({ cookie: {}, sid })
const disposes = (...sids) => sids.map((sid) => [sid, body(sid)])

// ---- exports

behaviour('the class is named MemoryStore and extends session.Store', (t, Store) => {
  const store = new Store()
  t.is(Store.name, 'MemoryStore')
  t.true(store instanceof session.Store)
  t.true(store instanceof EventEmitter)
})

behaviour('a store is not an instance of express-session’s own MemoryStore', (t, Store) => {
  t.false(new Store() instanceof session.MemoryStore)
})

behaviour('the class is called with new only', (t, Store) => {
  t.throws(() => Store(), { instanceOf: TypeError })
})

behaviour('the class can be extended', async (t, Store) => {
  class Mine extends Store {
    get(sid, fn) {
      return super.get(`mine:${sid}`, fn)
    }
  }
  const store = new Mine()
  await fill(store, 'mine:a')
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, { cookie: {}, sid: 'mine:a' }])
})

behaviour('what express-session adds to its stores works', async (t, Store) => {
  const store = new Store()
  const cookie = new session.Cookie({ maxAge: 5_000_000 })
  await store.set('a', { cookie, user: 'ann' })
  const req = { sessionStore: store }

  const [err, stored] = await callbackArguments(store, 'get', 'a')
  t.is(err, null)
  store.createSession(req, stored)

  t.is(req.session.user, 'ann')
  t.true(req.session.cookie instanceof session.Cookie)
  t.is(req.session.cookie.originalMaxAge, cookie.originalMaxAge)
})

test('require gives a function that makes a class of its own at every call', (t) => {
  t.is(typeof createMemoryStore, 'function')
  t.not(createMemoryStore(session), createMemoryStore(session))
})

test('called with nothing, the class extends EventEmitter and no express store', async (t) => {
  const Bare = createMemoryStore()
  const store = new Bare({ max: 1 })

  t.true(store instanceof EventEmitter)
  t.is(Object.getPrototypeOf(Bare), EventEmitter)
  await fill(store, 'a', 'b')
  t.deepEqual(await ids(store), ['b'])
})

for (const [name, value] of Object.entries({
  null: null,
  'an object without Store': {},
  'an object whose Store is no class': { Store: 1 },
  'a number': 5,
  'a text': 'express-session',
  'a function without Store': () => {},
})) {
  test(`called with ${name}, it throws a TypeError that shows the right call`, (t) => {
    t.throws(() => createMemoryStore(value), {
      instanceOf: TypeError,
      message: /require\('memorystore-rs'\)\(require\('express-session'\)\)/,
    })
  })
}

test('express-session gives no production warning for it', async (t) => {
  const script = `
    const session = require('express-session')
    const Store = require('.')(session)
    session({ secret: 'x', resave: false, saveUninitialized: false, store: new Store() })`
  const { code, stdout, stderr } = await runScript(script, { env: { NODE_ENV: 'production' } })
  t.is(code, 0)
  t.is(stdout, '')
  t.notRegex(stderr, /MemoryStore/)
})

// ---- options

behaviour('without options, the defaults are in store.options', (t, Store) => {
  t.deepEqual(new Store().options, {
    checkPeriod: undefined,
    max: Infinity,
    ttl: undefined,
    dispose: undefined,
    stale: undefined,
    noDisposeOnSet: undefined,
  })
})

behaviour('store.options keeps the options as given, and no others', (t, Store) => {
  const options = {
    checkPeriod: 10_000,
    max: 0,
    ttl: () => 1,
    dispose: null,
    stale: true,
    noDisposeOnSet: false,
  }
  const { value: store } = watchWarnings(
    () => new Store({ ...options, serializer: JSON, other: 1 }),
  )
  t.deepEqual(store.options, options)
  store.stopInterval()
})

test('a number in place of the options is the checkPeriod', (t) => {
  const store = new MemoryStore(DAY)
  t.is(store.options.checkPeriod, DAY)
  t.truthy(store._checkInterval)
  store.stopInterval()
})

behaviour('max: null is no limit', (t, Store) => {
  t.is(new Store({ max: null }).options.max, Infinity)
})

for (const given of ['abc', true, []]) {
  behaviour(`options of ${JSON.stringify(given)} count as none`, async (t, Store) => {
    const { value: store } = watchWarnings(() => new Store(given))
    t.is(store.options.max, Infinity)
    await fill(store, 'a')
    t.is(await length(store), 1)
  })
}

behaviour('options of null throw a TypeError', (t, Store) => {
  t.throws(() => new Store(null), { instanceOf: TypeError })
})

behaviour('store.store is there', (t, Store) => {
  t.truthy(new Store().store)
})

behaviour('store.serializer is JSON, or the one that was given', (t, Store) => {
  const serializer = { stringify: JSON.stringify, parse: JSON.parse }
  t.is(new Store().serializer, JSON)
  t.is(new Store({ serializer }).serializer, serializer)
})

behaviour('the serializer is called as a method', async (t, Store) => {
  class Serializer {
    #prefix = 'own:'
    stringify(value) {
      return this.#prefix + JSON.stringify(value)
    }
    parse(text) {
      return JSON.parse(text.slice(this.#prefix.length))
    }
  }
  const store = new Store({ serializer: new Serializer() })
  await fill(store, 'a')
  t.is(await storedText(store, 'a'), `own:${body('a')}`)
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, { cookie: {}, sid: 'a' }])
})

behaviour('an option ttl that is changed later counts from then on', async (t, Store, clock) => {
  const store = new Store({ ttl: 10_000 })
  store.options.ttl = 1_000_000
  await fill(store, 'a')
  clock.tick(500_000)
  t.true(await has(store, 'a'))
})

behaviour('there is no interval by default, nor with a checkPeriod of 0', (t, Store) => {
  t.is(new Store()._checkInterval, undefined)
  t.is(new Store({ checkPeriod: 0 })._checkInterval, undefined)
})

behaviour('the interval does not keep the process alive', (t, Store) => {
  const store = new Store({ checkPeriod: DAY })
  t.false(store._checkInterval.hasRef())
  store.stopInterval()
})

behaviour('stopInterval and startInterval end and begin it', (t, Store) => {
  const store = new Store({ checkPeriod: DAY })
  const first = store._checkInterval
  t.is(store.stopInterval(), undefined)
  t.is(store._checkInterval, undefined)
  t.is(store.startInterval(), undefined)
  t.truthy(store._checkInterval)
  t.not(store._checkInterval, first)
  store.stopInterval()
})

behaviour('startInterval replaces the interval that runs', (t, Store, clock) => {
  const store = new Store({ checkPeriod: 100 })
  store.startInterval()
  t.is(clock.countTimers(), 1)
  store.stopInterval()
  t.is(clock.countTimers(), 0)
})

behaviour('stopInterval without an interval does nothing', (t, Store) => {
  t.notThrows(() => new Store().stopInterval())
})

// ---- get

behaviour('get gives (null, session)', async (t, Store) => {
  const store = new Store()
  await store.set('a', lasting(1_000_000, { n: 1, list: [1, { x: null }] }))
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [
    null,
    { cookie: { maxAge: 1_000_000 }, n: 1, list: [1, { x: null }] },
  ])
})

behaviour('get gives a copy each time', async (t, Store) => {
  const store = new Store()
  await fill(store, 'a')
  const [, first] = await callbackArguments(store, 'get', 'a')
  first.sid = 'changed'
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, { cookie: {}, sid: 'a' }])
})

behaviour('get of what is missing calls back without arguments', async (t, Store) => {
  t.deepEqual(await callbackArguments(new Store(), 'get', 'a'), [])
})

behaviour('get of an empty serialised string calls back without arguments', async (t, Store) => {
  const serializer = { stringify: () => '', parse: () => t.fail('nothing to parse') }
  const store = new Store({ serializer })
  await fill(store, 'a')
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [])
  t.is(await length(store), 1)
})

behaviour('get gives (error, undefined) where parse throws', async (t, Store) => {
  const error = new Error('parse')
  const parse = () => {
    throw error
  }
  const store = new Store({ serializer: { stringify: JSON.stringify, parse } })
  await fill(store, 'a')
  const results = await callbackArguments(store, 'get', 'a')
  t.deepEqual(results, [error, undefined])
  t.is(results[0], error)
  t.is(await length(store), 1)
})

behaviour('get passes on whatever parse returns', async (t, Store) => {
  for (const value of [undefined, null, 0, '', 'text']) {
    const store = new Store({ serializer: { stringify: JSON.stringify, parse: () => value } })
    await fill(store, 'a')
    t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, value])
  }
})

behaviour('get removes what has expired', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', lasting(10_000))
  clock.tick(11_000)
  t.is(await length(store), 1)
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [])
  t.is(await length(store), 0)
})

behaviour('with stale, get gives what has expired once', async (t, Store, clock) => {
  const store = new Store({ stale: true })
  await store.set('a', lasting(10_000))
  clock.tick(11_000)
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, lasting(10_000)])
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [])
})

// ---- set

behaviour('set calls back with (null)', async (t, Store) => {
  const store = new Store()
  t.deepEqual(await callbackArguments(store, 'set', 'a', lasting(10_000)), [null])
  t.deepEqual(await callbackArguments(store, 'set', 'a', lasting(10_000)), [null])
})

behaviour('set stores the session as it is at the call', async (t, Store) => {
  const store = new Store()
  const changing = { cookie: {}, n: 1 }
  store.set('a', changing)
  changing.n = 2
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, { cookie: {}, n: 1 }])
})

behaviour('set overwrites and counts a sid once', async (t, Store) => {
  const store = new Store()
  await store.set('a', lasting(10_000, { n: 1 }))
  await store.set('a', lasting(10_000, { n: 2 }))
  t.is(await length(store), 1)
  t.is((await callbackArguments(store, 'get', 'a'))[1].n, 2)
})

behaviour('set over an existing session renews its time', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', lasting(10_000))
  clock.tick(8000)
  await store.set('a', lasting(10_000))
  clock.tick(8000)
  t.true(await has(store, 'a'))
})

behaviour(
  'set gives (error) where stringify throws, and the old session stays',
  async (t, Store) => {
    const store = new Store()
    const circular = { cookie: {} }
    circular.self = circular
    await fill(store, 'a', 'b')

    for (const sid of ['a', 'new']) {
      const results = await callbackArguments(store, 'set', sid, circular)
      t.is(results.length, 1)
      t.true(results[0] instanceof TypeError)
    }

    t.deepEqual(await ids(store), ['b', 'a'])
    t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, { cookie: {}, sid: 'a' }])
  },
)

behaviour('a session may be null, and then has a day', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', null)
  clock.tick(DAY)
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, null])
})

// ---- how long a session lives

behaviour(
  'a session is alive until cookie.maxAge has passed, that moment included',
  async (t, Store, clock) => {
    const store = new Store()
    await store.set('a', lasting(100_000))
    clock.tick(100_000)
    t.true(await has(store, 'a'))
    clock.tick(1)
    t.false(await has(store, 'a'))
  },
)

behaviour('cookie.maxAge is floored', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', lasting(60_000.9))
  clock.tick(60_000)
  t.true(await has(store, 'a'))
  clock.tick(1)
  t.false(await has(store, 'a'))
})

for (const [name, stored] of Object.entries({
  'no cookie': {},
  'a cookie that is null': { cookie: null },
  'a cookie without maxAge': { cookie: {} },
  'a maxAge of null': lasting(null),
  'a maxAge in text': lasting('5'),
  'a plain expires': { cookie: { expires: new Date(NOW + 5) } },
})) {
  behaviour(`a session with ${name} has a day`, async (t, Store, clock) => {
    const store = new Store()
    await store.set('a', stored)
    clock.tick(DAY)
    t.true(await has(store, 'a'))
    clock.tick(1)
    t.false(await has(store, 'a'))
  })
}

behaviour('express-session’s Cookie counts by its expires', async (t, Store, clock) => {
  const store = new Store()
  const cookie = new session.Cookie()
  cookie.expires = new Date(NOW + 500_000)
  await store.set('a', { cookie })
  clock.tick(500_000)
  t.true(await has(store, 'a'))
  clock.tick(1)
  t.false(await has(store, 'a'))
})

behaviour('a negative maxAge is expired at once', async (t, Store) => {
  for (const maxAge of [-1, -0.5, -1000, -Infinity]) {
    const store = new Store()
    await store.set('a', lasting(maxAge))
    t.is(await length(store), 1)
    t.false(await has(store, 'a'))
    t.is(await length(store), 0)
  }
})

behaviour(
  'a negative maxAge counts from the set, also when the clock is set back',
  async (t, Store, clock) => {
    const store = new Store()
    await store.set('a', lasting(-1000))
    clock.setSystemTime(NOW - 500)
    t.false(await has(store, 'a'))
  },
)

behaviour('a maxAge of Infinity is for ever', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', lasting(Infinity))
  clock.tick(1e15)
  t.true(await has(store, 'a'))
})

behaviour('an existing session that is set expired is gone', async (t, Store) => {
  const { store, disposed } = disposingStore(Store)
  await store.set('a', lasting(10_000))
  await store.set('a', lasting(-5))
  t.is(await length(store), 0)
  t.deepEqual(disposed, [
    ['a', JSON.stringify(lasting(10_000))],
    ['a', JSON.stringify(lasting(-5))],
  ])
})

behaviour(
  'a numeric ttl stands before cookie.maxAge and is not floored',
  async (t, Store, clock) => {
    const store = new Store({ ttl: 100_000.5 })
    await store.set('a', lasting(5000))
    await store.set('b', lasting(500_000))
    clock.tick(100_000)
    t.true(await has(store, 'a'))
    clock.tick(1)
    t.false(await has(store, 'a'))
    t.false(await has(store, 'b'))
  },
)

behaviour(
  'a ttl between 0 and 1 lives for the rest of the millisecond',
  async (t, Store, clock) => {
    const store = new Store({ ttl: 0.5 })
    await fill(store, 'a')
    t.true(await has(store, 'a'))
    clock.tick(1)
    t.false(await has(store, 'a'))
  },
)

for (const ttl of [0, -0, NaN, Infinity]) {
  behaviour(`a ttl of ${Object.is(ttl, -0) ? '-0' : ttl} is for ever`, async (t, Store, clock) => {
    const { value: store } = watchWarnings(() => new Store({ ttl }))
    await store.set('a', lasting(5000))
    clock.tick(1e15)
    t.true(await has(store, 'a'))
  })
}

behaviour('a negative ttl is expired at once', async (t, Store) => {
  for (const ttl of [-1, -0.5, -Infinity]) {
    const { value: store } = watchWarnings(() => new Store({ ttl }))
    await fill(store, 'a')
    t.false(await has(store, 'a'))
  }
})

behaviour(
  'a ttl of null, false or an empty text leaves it to the cookie',
  async (t, Store, clock) => {
    const stores = [null, false, ''].map((ttl) => watchWarnings(() => new Store({ ttl })).value)
    for (const store of stores) await store.set('a', lasting(5000))
    clock.tick(6000)
    for (const store of stores) t.false(await has(store, 'a'))
  },
)

behaviour('a ttl function gets (options, session, sid)', (t, Store) => {
  const calls = []
  const ttl = (...args) => calls.push(args)
  const store = new Store({ ttl })
  const [first, second] = [lasting(1000), lasting(2000)]
  store.set('a', first)
  store.touch('a', second)

  t.is(calls.length, 2)
  t.is(calls[0][0], store.options)
  t.is(calls[0][1], first)
  t.is(calls[1][1], second)
  t.deepEqual(
    calls.map((args) => [args.length, args[2]]),
    [
      [3, 'a'],
      [3, 'a'],
    ],
  )
})

behaviour('a ttl function is called by touch for a sid that is missing', async (t, Store) => {
  const sids = []
  const store = new Store({ ttl: (_options, _session, sid) => sids.push(sid) })
  await store.touch('missing', lasting(1000))
  t.deepEqual(sids, ['missing'])
})

for (const result of [0, undefined, null, NaN, '', Infinity]) {
  behaviour(
    `a ttl function that returns ${String(result) || 'nothing'} means for ever`,
    async (t, Store, clock) => {
      const store = new Store({ ttl: () => result })
      await store.set('a', lasting(5000))
      clock.tick(1e15)
      t.true(await has(store, 'a'))
    },
  )
}

for (const result of [100_000.5, '100000', 100_000n]) {
  behaviour(
    `a ttl function that returns ${typeof result} ${result} means that time`,
    async (t, Store, clock) => {
      const store = new Store({ ttl: () => result })
      await fill(store, 'a')
      clock.tick(100_000)
      t.true(await has(store, 'a'))
      clock.tick(1)
      t.false(await has(store, 'a'))
    },
  )
}

behaviour('a ttl function that returns less than 0 means expired', async (t, Store) => {
  const store = new Store({ ttl: () => -1 })
  await fill(store, 'a')
  t.false(await has(store, 'a'))
})

behaviour(
  'what a ttl function throws reaches the caller of set and touch without callback',
  async (t, Store) => {
    const error = new Error('ttl')
    const store = new Store({
      ttl: () => {
        throw error
      },
    })
    t.is(
      t.throws(() => store.set('a', lasting(1000))),
      error,
    )
    t.is(
      t.throws(() => store.touch('a', lasting(1000))),
      error,
    )
    t.is(await length(store), 0)
  },
)

for (const ttl of ['100', true, {}, []]) {
  behaviour(
    `a ttl of ${JSON.stringify(ttl)} makes set and touch without callback throw a TypeError`,
    async (t, Store) => {
      const { value: store } = watchWarnings(() => new Store({ ttl }))
      t.throws(() => store.set('a', lasting(1000)), { instanceOf: TypeError })
      t.throws(() => store.touch('a', lasting(1000)), { instanceOf: TypeError })
      t.is(await length(store), 0)
    },
  )
}

// ---- touch

behaviour('touch calls back with (null), found or not', async (t, Store) => {
  const store = new Store()
  await fill(store, 'a')
  t.deepEqual(await callbackArguments(store, 'touch', 'a', lasting(10_000)), [null])
  t.deepEqual(await callbackArguments(store, 'touch', 'missing', lasting(10_000)), [null])
  t.is(await length(store), 1)
})

behaviour('touch renews the time by the session that it is given', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', lasting(10_000))
  await store.set('b', lasting(10_000))
  await store.touch('a', lasting(100_000))
  await store.touch('b', lasting(5000))
  clock.tick(6000)
  t.true(await has(store, 'a'))
  t.false(await has(store, 'b'))
  clock.tick(94_000)
  t.true(await has(store, 'a'))
  clock.tick(1)
  t.false(await has(store, 'a'))
})

behaviour('touch takes the cookie and nothing else of the session', async (t, Store) => {
  const store = new Store()
  await store.set('a', { first: 1, cookie: { maxAge: 10_000, path: '/' }, last: 2 })
  await store.touch('a', { first: 3, cookie: { maxAge: 20_000 }, more: 4 })
  t.is(await storedText(store, 'a'), '{"first":1,"cookie":{"maxAge":20000},"last":2}')
})

behaviour('touch does not revive what has expired', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', lasting(10_000))
  clock.tick(11_000)
  t.deepEqual(await callbackArguments(store, 'touch', 'a', lasting(10_000)), [null])
  t.is(await length(store), 0)
})

behaviour('with stale, touch revives what has expired', async (t, Store, clock) => {
  const store = new Store({ stale: true })
  await store.set('a', lasting(10_000, { n: 1 }))
  clock.tick(11_000)
  await store.touch('a', lasting(20_000))
  t.deepEqual(await callbackArguments(store, 'get', 'a'), [null, lasting(20_000, { n: 1 })])
})

behaviour('touch with a time that is over removes the session', async (t, Store) => {
  const store = new Store()
  await store.set('a', lasting(10_000))
  await store.touch('a', lasting(-1))
  t.is(await length(store), 0)
})

behaviour('touch gives (error) where the stored session is no object', async (t, Store) => {
  const store = new Store()
  await store.set('a', null)
  const results = await callbackArguments(store, 'touch', 'a', lasting(10_000))
  t.is(results.length, 1)
  t.true(results[0] instanceof TypeError)
  t.is(await storedText(store, 'a'), 'null')
})

behaviour(
  'touch gives (error) where the serializer throws, and the session stays',
  async (t, Store) => {
    const serializer = { stringify: JSON.stringify, parse: JSON.parse }
    const store = new Store({ serializer })
    await fill(store, 'a')
    for (const method of ['parse', 'stringify']) {
      const works = serializer[method]
      const error = new Error(method)
      serializer[method] = () => {
        throw error
      }
      t.deepEqual(await callbackArguments(store, 'touch', 'a', lasting(10_000)), [error])
      serializer[method] = works
    }
    t.is(await storedText(store, 'a'), body('a'))
  },
)

behaviour('touch of an empty serialised string gives the parse error', async (t, Store) => {
  const store = new Store({ serializer: { stringify: () => '', parse: JSON.parse } })
  await fill(store, 'a')
  const [error] = await callbackArguments(store, 'touch', 'a', lasting(10_000))
  t.true(error instanceof SyntaxError)
})

// ---- destroy, ids, all, length, clear, prune

behaviour('destroy removes one session and calls back with (null)', async (t, Store) => {
  const store = new Store()
  await fill(store, 'a', 'b')
  t.deepEqual(await callbackArguments(store, 'destroy', 'a'), [null])
  t.deepEqual(await callbackArguments(store, 'destroy', 'missing'), [null])
  t.deepEqual(await ids(store), ['b'])
})

behaviour('destroy removes an array of sessions', async (t, Store) => {
  const store = new Store()
  await fill(store, 'a', 'b', 'c')
  t.deepEqual(await callbackArguments(store, 'destroy', ['a', 'missing', 'c', 'a']), [null])
  t.deepEqual(await callbackArguments(store, 'destroy', []), [null])
  t.deepEqual(await ids(store), ['b'])
})

behaviour(
  'ids are listed most recently used first, expired ones included',
  async (t, Store, clock) => {
    const store = new Store()
    await store.set('a', lasting(10_000))
    await store.set('b', lasting(1_000_000))
    await store.set('c', lasting(10_000))
    clock.tick(11_000)
    t.deepEqual(await callbackArguments(store, 'ids'), [null, ['c', 'b', 'a']])
  },
)

behaviour(
  'all gives the sessions, most recently used first, and removes expired ones',
  async (t, Store, clock) => {
    const store = new Store()
    await store.set('a', lasting(1_000_000, { n: 1 }))
    await store.set('b', lasting(10_000))
    await store.set('c', lasting(1_000_000, { n: 2 }))
    clock.tick(11_000)
    const [err, sessions, ...rest] = await callbackArguments(store, 'all')
    t.is(err, null)
    t.deepEqual(rest, [])
    t.deepEqual(Object.entries(sessions), [
      ['c', lasting(1_000_000, { n: 2 })],
      ['a', lasting(1_000_000, { n: 1 })],
    ])
    t.is(await length(store), 2)
  },
)

behaviour('with stale, all lists what has expired once', async (t, Store, clock) => {
  const store = new Store({ stale: true })
  await store.set('a', lasting(10_000))
  await store.set('b', lasting(1_000_000))
  clock.tick(11_000)
  t.deepEqual(Object.keys((await callbackArguments(store, 'all'))[1]), ['b', 'a'])
  t.deepEqual(Object.keys((await callbackArguments(store, 'all'))[1]), ['b'])
})

behaviour('a parse error fails the whole of all', async (t, Store) => {
  const error = new Error('parse')
  const parse = (text) => {
    if (text.includes('bad')) throw error
    return JSON.parse(text)
  }
  const store = new Store({ serializer: { stringify: JSON.stringify, parse } })
  await fill(store, 'a', 'bad', 'b')
  t.deepEqual(await callbackArguments(store, 'all'), [error])
  t.is(await length(store), 3)
})

behaviour('length counts, expired ones included', async (t, Store, clock) => {
  const store = new Store()
  t.deepEqual(await callbackArguments(store, 'length'), [null, 0])
  await store.set('a', lasting(10_000))
  await store.set('b', lasting(1_000_000))
  clock.tick(11_000)
  t.deepEqual(await callbackArguments(store, 'length'), [null, 2])
})

behaviour('clear removes everything and calls back with (null)', async (t, Store) => {
  const store = new Store()
  await fill(store, 'a', 'b')
  t.deepEqual(await callbackArguments(store, 'clear'), [null])
  t.deepEqual(await ids(store), [])
  await fill(store, 'c')
  t.deepEqual(await ids(store), ['c'])
})

behaviour('prune removes what has expired and nothing else', async (t, Store, clock) => {
  const store = new Store()
  await store.set('a', lasting(10_000))
  await store.set('b', lasting(1_000_000))
  await store.set('c', lasting(10_000))
  clock.tick(11_000)
  await store.prune()
  t.deepEqual(await ids(store), ['b'])
})

behaviour('methods return nothing to a caller who gives a callback', (t, Store) => {
  const store = new Store()
  const fn = () => {}
  t.is(store.set('a', lasting(1000), fn), undefined)
  t.is(store.get('a', fn), undefined)
  t.is(store.get('missing', fn), undefined)
  t.is(store.touch('a', lasting(1000), fn), undefined)
  t.is(store.destroy('a', fn), undefined)
  for (const method of ['ids', 'all', 'length', 'clear']) t.is(store[method](fn), undefined)
})

test('prune takes a callback too, which gets (null)', async (t) => {
  t.deepEqual(await callbackArguments(new MemoryStore(), 'prune'), [null])
})

// ---- the order of use

for (const [name, use] of Object.entries({
  get: (store) => store.get('a', () => {}),
  set: (store) => fill(store, 'a'),
  touch: (store) => store.touch('a', lasting(10_000)),
})) {
  behaviour(`${name} makes a session the most recently used`, async (t, Store) => {
    const store = new Store({ max: 3 })
    await fill(store, 'a', 'b', 'c')
    await use(store)
    t.deepEqual(await ids(store), ['a', 'c', 'b'])
    await fill(store, 'd')
    t.deepEqual(await ids(store), ['d', 'a', 'c'])
  })
}

for (const [name, use] of Object.entries({
  ids: (store) => store.ids(() => {}),
  all: (store) => store.all(() => {}),
  length: (store) => store.length(() => {}),
  'a set that fails': (store) => store.set('a', { cookie: {}, n: 1n }, () => {}),
  'destroying another session': (store) => store.destroy('missing'),
  'getting what is missing': (store) => store.get('missing', () => {}),
})) {
  behaviour(`${name} does not change the order of use`, async (t, Store) => {
    const store = new Store()
    await fill(store, 'a', 'b', 'c')
    await use(store)
    t.deepEqual(await ids(store), ['c', 'b', 'a'])
  })
}

behaviour('a touch that fails still counts as a use', async (t, Store) => {
  const store = new Store()
  await store.set('a', null)
  await fill(store, 'b')
  store.touch('a', lasting(10_000), () => {})
  t.deepEqual(await ids(store), ['a', 'b'])
})

behaviour(
  'a set over max evicts the least recently used, expired or not',
  async (t, Store, clock) => {
    const store = new Store({ max: 2 })
    await store.set('old', lasting(1_000_000))
    await store.set('expired', lasting(10_000))
    clock.tick(11_000)
    await store.set('new', lasting(1_000_000))
    t.deepEqual(await ids(store), ['new', 'expired'])
  },
)

behaviour('a set of an existing session evicts nothing', async (t, Store) => {
  const store = new Store({ max: 2 })
  await fill(store, 'a', 'b', 'a')
  t.deepEqual(await ids(store), ['a', 'b'])
})

behaviour('max: 1 keeps the last one', async (t, Store) => {
  const store = new Store({ max: 1 })
  await fill(store, 'a', 'b', 'c')
  t.deepEqual(await ids(store), ['c'])
})

// ---- dispose

behaviour('an overwrite disposes of the old text', async (t, Store) => {
  const { store, disposed } = disposingStore(Store)
  await fill(store, 'a')
  t.deepEqual(disposed, [])
  await store.set('a', lasting(10_000))
  t.deepEqual(disposed, disposes('a'))
})

behaviour('an overwrite of what has expired disposes of the old text', async (t, Store, clock) => {
  const { store, disposed } = disposingStore(Store)
  await store.set('a', lasting(10_000))
  clock.tick(11_000)
  await store.set('a', lasting(20_000))
  t.deepEqual(disposed, [['a', JSON.stringify(lasting(10_000))]])
})

behaviour('a touch disposes of the old text', async (t, Store) => {
  const { store, disposed } = disposingStore(Store)
  await fill(store, 'a')
  await store.touch('a', lasting(10_000))
  t.deepEqual(disposed, disposes('a'))
})

behaviour('with noDisposeOnSet, neither overwrite nor touch disposes', async (t, Store) => {
  const { store, disposed } = disposingStore(Store, { noDisposeOnSet: true })
  await fill(store, 'a', 'a')
  await store.touch('a', lasting(10_000))
  t.deepEqual(disposed, [])
  await store.destroy('a')
  t.deepEqual(disposed, [['a', JSON.stringify({ cookie: { maxAge: 10_000 }, sid: 'a' })]])
})

behaviour('an eviction disposes', async (t, Store) => {
  const { store, disposed } = disposingStore(Store, { max: 2 })
  await fill(store, 'a', 'b', 'c')
  t.deepEqual(disposed, disposes('a'))
})

behaviour('where nothing fits, a set disposes of what was set', async (t, Store) => {
  const { value } = watchWarnings(() => disposingStore(Store, { max: 0.5 }))
  await fill(value.store, 'a')
  t.deepEqual(value.disposed, disposes('a'))
  t.is(await length(value.store), 0)
})

for (const [name, meet] of Object.entries({
  get: (store) => store.get('a', () => {}),
  touch: (store) => store.touch('a', lasting(10_000)),
})) {
  behaviour(`${name} disposes of what has expired`, async (t, Store, clock) => {
    const { store, disposed } = disposingStore(Store, { ttl: 10_000 })
    await fill(store, 'a', 'b')
    clock.tick(11_000)
    t.deepEqual(disposed, [])
    await meet(store)
    t.deepEqual(disposed, disposes('a'))
  })
}

for (const method of ['all', 'prune']) {
  behaviour(
    `${method} disposes of what has expired, most recently used first`,
    async (t, Store, clock) => {
      const { store, disposed } = disposingStore(Store, { ttl: 10_000 })
      await fill(store, 'a', 'b', 'c')
      store.get('a', () => {})
      clock.tick(11_000)
      await fill(store, 'd')
      store[method](() => {})
      t.deepEqual(disposed, disposes('a', 'c', 'b'))
    },
  )
}

behaviour('destroy disposes, in the order of the array, of what is there', async (t, Store) => {
  const { store, disposed } = disposingStore(Store)
  await fill(store, 'a', 'b', 'c')
  await store.destroy('b')
  await store.destroy(['c', 'missing', 'b', 'a'])
  t.deepEqual(disposed, disposes('b', 'c', 'a'))
})

behaviour('clear disposes of everything, most recently used first', async (t, Store) => {
  const { store, disposed } = disposingStore(Store)
  await fill(store, 'a', 'b', 'c')
  store.get('a', () => {})
  await store.clear()
  t.deepEqual(disposed, disposes('a', 'c', 'b'))
})

behaviour('with stale, what is read once more has been disposed of', async (t, Store, clock) => {
  const { store, disposed } = disposingStore(Store, { ttl: 10_000, stale: true })
  await fill(store, 'a')
  clock.tick(11_000)
  store.get('a', () => {})
  t.deepEqual(disposed, disposes('a'))
})

behaviour('dispose has been called when the call returns', (t, Store) => {
  const { store, disposed } = disposingStore(Store)
  fill(store, 'a')
  store.destroy('a')
  t.is(disposed.length, 1)
})

behaviour('what fails to be set disposes of nothing', async (t, Store) => {
  const { store, disposed } = disposingStore(Store)
  await fill(store, 'a')
  store.set('a', { n: 1n }, () => {})
  t.deepEqual(disposed, [])
})

// ---- values that make no sense

for (const max of [0, -1, -Infinity, NaN, '2', true, {}]) {
  behaviour(`a max of ${typeof max} ${max} is no limit`, async (t, Store) => {
    const { value: store } = watchWarnings(() => new Store({ max }))
    t.is(store.options.max, max)
    await fill(store, 'a', 'b', 'c')
    t.is(await length(store), 3)
  })
}

behaviour('a max of 1.5 is 1, and one of 0.5 is 0', async (t, Store) => {
  for (const [max, kept] of [
    [1.5, 1],
    [0.5, 0],
  ]) {
    const { value: store } = watchWarnings(() => new Store({ max }))
    await fill(store, 'a', 'b')
    t.is(await length(store), kept)
  }
})

for (const checkPeriod of ['1000', -5, NaN, Infinity, true, null]) {
  behaviour(
    `a checkPeriod of ${typeof checkPeriod} ${checkPeriod} starts no interval`,
    (t, Store) => {
      const { value: store } = watchWarnings(() => new Store({ checkPeriod }))
      t.is(store._checkInterval, undefined)
      t.is(store.options.checkPeriod, checkPeriod)
    },
  )
}

behaviour('stale and noDisposeOnSet go by truthiness', async (t, Store, clock) => {
  const options = { stale: 1, noDisposeOnSet: 'yes', ttl: 10_000 }
  const { value } = watchWarnings(() => disposingStore(Store, options))
  await fill(value.store, 'a', 'a')
  t.deepEqual(value.disposed, [])
  clock.tick(11_000)
  t.true(await has(value.store, 'a'))
})

behaviour('a dispose that is no function makes the call throw that would use it', (t, Store) => {
  const { value: store } = watchWarnings(() => new Store({ dispose: 'x' }))
  fill(store, 'a')
  t.throws(() => store.destroy('a'), { instanceOf: TypeError })
})

behaviour('a serializer without methods fails to the callback', async (t, Store) => {
  const { value: store } = watchWarnings(() => new Store({ serializer: {} }))
  const [error] = await callbackArguments(store, 'set', 'a', lasting(1000))
  t.true(error instanceof TypeError)
})

const NONSENSE = {
  checkPeriod: ['1000', -5, NaN, true, 0.5, {}],
  max: [0, -1, 1.5, NaN, '2', true, {}],
  ttl: ['100', -1, NaN, true, 5n, {}],
  dispose: ['x', 1, {}, true],
  stale: [1, 'yes', {}],
  noDisposeOnSet: [0, 'no', []],
  serializer: [{}, 'json', { parse: JSON.parse }, 1],
}

for (const [name, values] of Object.entries(NONSENSE)) {
  for (const value of values) {
    test(`a ${name} of ${inspect(value)} gives one warning that names the option`, (t) => {
      const { value: store, warnings } = watchWarnings(() => new MemoryStore({ [name]: value }))
      store.stopInterval()
      t.is(warnings.length, 1)
      t.is(warnings[0].code, 'MEMORYSTORE_OPTION')
      t.regex(warnings[0].message, new RegExp(`the option \`${name}\``))
    })
  }
}

test('options that make sense give no warning', (t) => {
  const sane = [
    undefined,
    {},
    DAY,
    { checkPeriod: DAY, max: 10, ttl: 100, dispose() {}, stale: true, noDisposeOnSet: false },
    { checkPeriod: 0, max: Infinity, ttl: 0, serializer: JSON },
    { checkPeriod: 1e12, ttl: () => 1, serializer: { stringify: String, parse: String } },
    { checkPeriod: null, max: null, ttl: null, dispose: null, stale: null, serializer: null },
    { checkPeriod: false, max: false, ttl: false, dispose: false, serializer: false },
    { somethingElse: 1 },
  ]
  for (const options of sane) {
    const { value: store, warnings } = watchWarnings(() => new MemoryStore(options))
    store.stopInterval()
    t.deepEqual(warnings, [], JSON.stringify(options))
  }
})

test('an option in the wrong case gives a warning that names both', (t) => {
  const { warnings } = watchWarnings(() => new MemoryStore({ checkperiod: 1000 }))
  t.is(warnings.length, 1)
  t.regex(warnings[0].message, /`checkperiod`.*`checkPeriod`/)
})

test('the warning is a warning of the process', async (t) => {
  const script = `new (require('.')())({ checkPeriod: '1000' })`
  const { code, stderr } = await runScript(script)
  t.is(code, 0)
  t.regex(stderr, /MemoryStoreWarning.*`checkPeriod`/)
})

test('a warning shows no text that was given', (t) => {
  const secret = 'hunter2-hunter2'
  const { warnings } = watchWarnings(
    () => new MemoryStore({ max: secret, ttl: secret, serializer: secret, dispose: secret }),
  )
  t.is(warnings.length, 4)
  for (const { message } of warnings) t.false(message.includes(secret))
})
