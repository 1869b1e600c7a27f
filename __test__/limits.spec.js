'use strict'

// The option `maxBytes`: what goes when the budget is exceeded, what is refused, and that the
// bytes are counted honestly.

const test = require('ava')
const fc = require('fast-check')

const { addSessions, createStore } = require('./helpers/large')
const { succeed } = require('./helpers/process')
const {
  MemoryStore,
  callbackArguments,
  disposingStore,
  watchWarnings,
} = require('./helpers/stores')

const TOO_LARGE = { name: 'RangeError', code: 'ERR_MEMORYSTORE_TOO_LARGE' }

const noop = () => {}

/** A session whose JSON is longer by `length`. */
const sized = (length, cookie = {}) => ({ cookie, text: 'x'.repeat(length) })

/** What one session of `length` takes in a store, by a sid of five characters. */
function bytesOf(length) {
  const store = new MemoryStore()
  store.set('sid-0', sized(length), noop)
  return store.stats().bytes
}

/** Checks the budget after every one of the `commands`; returns the store. */
function runWithinBudget(maxBytes, commands) {
  const store = createStore(MemoryStore, { maxBytes, max: 12 })
  for (const { method, sid, length, ttl } of commands) {
    const session = { ...sized(length), ttl, cookie: { path: 'p'.repeat(length) } }
    if (method === 'set' || method === 'touch') store[method](sid, session, noop)
    else if (method === 'get' || method === 'destroy') store[method](sid, noop)
    else store[method](noop)
    const { bytes } = store.stats()
    if (bytes > maxBytes) throw new Error(`${bytes} bytes after ${method}, of ${maxBytes}`)
  }
  return store
}

test('the least recently used sessions go when the budget is exceeded', async (t) => {
  const each = bytesOf(300)
  const store = new MemoryStore({ maxBytes: 3 * each })
  for (const n of [0, 1, 2]) store.set(`sid-${n}`, sized(300), noop)
  t.is(store.stats().bytes, 3 * each)
  t.deepEqual(await store.ids(), ['sid-2', 'sid-1', 'sid-0'])

  store.get('sid-0', noop)
  store.set('sid-3', sized(300), noop)
  t.deepEqual(await store.ids(), ['sid-3', 'sid-0', 'sid-2'])
  store.touch('sid-2', sized(300), noop)
  store.set('sid-4', sized(300), noop)
  t.deepEqual(await store.ids(), ['sid-4', 'sid-2', 'sid-3'])
  t.is(store.stats().evictionsByBytes, 2)
})

test('one large session makes as many go as it needs room of', async (t) => {
  const each = bytesOf(100)
  const store = new MemoryStore({ maxBytes: 10 * each })
  for (let n = 0; n < 10; n++) store.set(`sid-${n}`, sized(100), noop)
  t.is(await store.length(), 10)
  const large = bytesOf(2000)
  const stay = Math.floor((10 * each - large) / each)
  store.set('sid-l', sized(2000), noop)
  t.is(await store.length(), stay + 1)
  t.is((await store.get('sid-l')).text.length, 2000)
  t.is(store.stats().evictionsByBytes, 10 - stay)
})

test('max and maxBytes work together: whichever is exceeded evicts', async (t) => {
  const store = new MemoryStore({ max: 3, maxBytes: 2 * bytesOf(1000) })
  for (const n of [0, 1, 2, 3]) store.set(`sid-${n}`, sized(10), noop)
  t.deepEqual(await store.ids(), ['sid-3', 'sid-2', 'sid-1'])
  store.set('sid-4', sized(1000), noop)
  store.set('sid-5', sized(1000), noop)
  t.deepEqual(await store.ids(), ['sid-5', 'sid-4'])
  const { evictionsByCount, evictionsByBytes } = store.stats()
  t.deepEqual({ evictionsByCount, evictionsByBytes }, { evictionsByCount: 3, evictionsByBytes: 1 })
})

test('set refuses a session larger than the budget, and the old one stays', async (t) => {
  const { store, disposed } = disposingStore(MemoryStore, { maxBytes: bytesOf(1000) })
  await store.set('sid-0', sized(10))
  await store.set('sid-1', sized(20))
  const before = store.stats()

  const args = await callbackArguments(store, 'set', 'sid-0', sized(1100))
  t.is(args.length, 1)
  t.like(args[0], TOO_LARGE)
  t.true(args[0] instanceof RangeError)
  await t.throwsAsync(store.set('sid-n', sized(1100)), TOO_LARGE)

  t.deepEqual(store.stats(), before)
  t.deepEqual(disposed, [])
  t.deepEqual(await store.ids(), ['sid-1', 'sid-0'])
  t.is((await store.get('sid-0')).text.length, 10)
})

test('a session exactly as large as the budget fits, and one byte less does not do', async (t) => {
  const each = bytesOf(400)
  await new MemoryStore({ maxBytes: each }).set('sid-0', sized(400))
  await t.throwsAsync(new MemoryStore({ maxBytes: each - 1 }).set('sid-0', sized(400)), TOO_LARGE)
})

test('touch refuses a cookie that makes the session larger than the budget', async (t) => {
  for (const options of [{}, { dispose: noop }, { serializer: { ...wrapped(JSON) } }]) {
    const store = new MemoryStore({ maxBytes: bytesOf(1000), ...options })
    await store.set('sid-0', sized(500, { path: '/' }))
    const before = store.stats()

    const huge = { cookie: { path: 'p'.repeat(1000) } }
    const args = await callbackArguments(store, 'touch', 'sid-0', huge)
    t.is(args.length, 1)
    t.like(args[0], TOO_LARGE)
    await t.throwsAsync(store.touch('sid-0', huge), TOO_LARGE)

    t.deepEqual(store.stats(), before)
    t.deepEqual(await store.get('sid-0'), sized(500, { path: '/' }))
  }
})

function wrapped({ stringify, parse }) {
  return { stringify: (session) => stringify(session), parse: (text) => parse(text) }
}

test('a session that grows by touch or set makes others go', async (t) => {
  const grown = { cookie: { path: 'p'.repeat(900) } }
  for (const options of [{}, { dispose: noop }, { serializer: wrapped(JSON) }]) {
    for (const method of ['touch', 'set']) {
      const store = new MemoryStore({ maxBytes: 4 * bytesOf(300), ...options })
      for (const n of [0, 1, 2, 3]) store.set(`sid-${n}`, sized(300), noop)
      t.is(await store.length(), 4)
      await store[method]('sid-0', grown)
      const ids = await store.ids()
      t.is(ids[0], 'sid-0')
      t.true(ids.length < 4)
      t.deepEqual(ids.slice(1), ['sid-3', 'sid-2', 'sid-1'].slice(0, ids.length - 1))
      t.is(store.stats().evictionsByBytes, 4 - ids.length)
      t.is((await store.get('sid-0')).cookie.path.length, 900)
    }
  }
})

test('dispose is called for what the budget makes go, the least recently used first', async (t) => {
  const { store, disposed } = disposingStore(MemoryStore, { maxBytes: 3 * bytesOf(300) })
  for (const n of [0, 1, 2]) store.set(`sid-${n}`, sized(300), noop)
  t.deepEqual(disposed, [])
  store.set('sid-3', sized(700), noop)
  t.deepEqual(
    disposed.slice(0, 2),
    ['sid-0', 'sid-1'].map((sid) => [sid, JSON.stringify(sized(300))]),
  )
  t.is(disposed.length + (await store.length()), 4)
})

test('the bytes never exceed the budget', (t) => {
  const command = fc.record({
    method: fc.constantFrom(
      'set',
      'set',
      'set',
      'touch',
      'touch',
      'get',
      'destroy',
      'prune',
      'all',
      'clear',
    ),
    sid: fc.nat({ max: 20 }).map((n) => `sid-${'s'.repeat(n)}`),
    length: fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 3000 })),
    ttl: fc.constantFrom(undefined, 1e9, -1),
  })
  const property = fc.property(
    fc.integer({ min: 1, max: 8000 }),
    fc.array(command, { maxLength: 60 }),
    (maxBytes, commands) => {
      const store = runWithinBudget(maxBytes, commands)
      store.clear(noop)
      t.is(store.stats().bytes, 0)
    },
  )
  t.notThrows(() => fc.assert(property, { numRuns: 300 }))
})

test('the bytes go up with what is stored, and down again when all is gone', async (t) => {
  const ways = {
    destroy: async (store) => store.destroy(await store.ids(), noop),
    clear: (store) => store.clear(noop),
    expiry: async (store) => {
      for (const sid of await store.ids()) store.set(sid, { ttl: -1 }, noop)
    },
  }
  for (const [name, empty] of Object.entries(ways)) {
    const store = createStore(MemoryStore, { maxBytes: 1e9 })
    let last = 0
    for (const [sid, session] of [
      ['a', {}],
      ['b'.repeat(1000), {}],
      ['c', sized(1000)],
      ['ü💥', { text: 'ü💥' }],
      ['a', sized(10_000)],
    ]) {
      store.set(sid, session, noop)
      t.true(store.stats().bytes > last)
      last = store.stats().bytes
    }
    store.set('a', {}, noop)
    t.true(store.stats().bytes < last - 9000)
    await empty(store)
    t.is(store.stats().sessions, 0, name)
    // That they were destroyed is remembered for a while.
    const remembered = name === 'destroy' ? 400 : 0
    t.true(store.stats().bytes <= remembered, name)
  }

  const pruned = createStore(MemoryStore)
  addSessions(pruned, 5000, { expired: true })
  t.true(pruned.stats().bytes > 5000 * 50)
  await pruned.prune()
  t.is(pruned.stats().bytes, 0)
})

test('without maxBytes, or with what means no limit, there is none', async (t) => {
  for (const maxBytes of [undefined, null, false, Infinity]) {
    const { value: store, warnings } = watchWarnings(() => new MemoryStore({ maxBytes }))
    t.deepEqual(warnings, [])
    addSessions(store, 500)
    t.is(await store.length(), 500)
  }
})

test('a maxBytes that makes no sense is no limit, and a warning names it', async (t) => {
  for (const maxBytes of [0, -1, NaN, '1000', true, {}, [], () => {}]) {
    const { value: store, warnings } = watchWarnings(() => new MemoryStore({ maxBytes }))
    t.is(warnings.length, 1)
    t.is(warnings[0].code, 'MEMORYSTORE_OPTION')
    t.regex(warnings[0].message, /`maxBytes`/)
    addSessions(store, 500)
    t.is(await store.length(), 500)
  }
  const { warnings } = watchWarnings(() => new MemoryStore({ maxbytes: 1000 }))
  t.regex(warnings[0].message, /did you mean `maxBytes`/)
  for (const name of ['hashSids', 'encryptionKeys', 'checkPeriod']) {
    const { warnings } = watchWarnings(() => new MemoryStore({ [name.toLowerCase()]: true }))
    t.regex(warnings[0].message, new RegExp(`did you mean \`${name}\``))
  }
})

test('store.options has maxBytes only where it was given', (t) => {
  t.false('maxBytes' in new MemoryStore().options)
  t.is(new MemoryStore({ maxBytes: 1234 }).options.maxBytes, 1234)
})

test('the bytes are what the process grows by', async (t) => {
  const ratio = await succeed(
    t,
    `const MemoryStore = require('.')()
     const store = new MemoryStore({ maxBytes: 1e9 })
     const text = 'x'.repeat(360)
     const add = (from, to) => {
       for (let i = from; i < to; i++) store.set('session-id-of-' + i, { cookie: {}, text, i }, noop)
     }
     const noop = () => {}
     const turn = () => new Promise((resolve) => setImmediate(resolve))
     // What V8 and the callbacks take is not the store's.
     const settle = async () => {
       await turn()
       gc()
     }
     ;(async () => {
       add(0, 10_000)
       await settle()
       const before = { rss: process.memoryUsage().rss, bytes: store.stats().bytes }
       for (let i = 10_000; i < 110_000; i += 1000) {
         add(i, i + 1000)
         await turn()
       }
       await settle()
       const rss = process.memoryUsage().rss - before.rss
       console.log(rss / (store.stats().bytes - before.bytes))
     })()`,
    { args: ['--expose-gc'] },
  )
  t.true(ratio > 0.7 && ratio < 1.4, `resident bytes by counted bytes: ${ratio}`)
})
