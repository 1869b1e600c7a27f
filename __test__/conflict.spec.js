'use strict'

// What a store does where two writers have read the same session, call by call. How whole
// requests fare is in races.spec.js.

const test = require('ava')
const FakeTimers = require('@sinonjs/fake-timers')
const fastify = require('fastify')
const session = require('express-session')
const v8 = require('node:v8')

const createMemoryStore = require('..')
const { runScript } = require('./helpers/process')
const { storedText } = require('./helpers/stores')

const MemoryStore = createMemoryStore(session)

const HOUR = 3600_000

function open(t, options) {
  const store = new MemoryStore(options)
  t.teardown(() => store.close())
  return store
}

/** A session as express-session makes it of what it loaded. */
async function load(store, sid) {
  const read = await store.get(sid)
  return store.createSession({ sessionID: sid, sessionStore: store }, read)
}

async function stored(store, sid) {
  const { cookie, ...rest } = (await store.get(sid)) ?? {}
  return cookie && rest
}

const cookie = () => ({ originalMaxAge: HOUR, path: '/' })

async function openWith(t, fields = { user: 'ada' }, options = {}) {
  const store = open(t, options)
  await store.set('sid', { cookie: cookie(), ...fields })
  return store
}

test('nothing that can be seen is added to a session', async (t) => {
  const store = await openWith(t)
  const read = await store.get('sid')
  const loaded = store.createSession({ sessionID: 'sid', sessionStore: store }, read)
  const bare = new session.Store().createSession({ sessionID: 'sid' }, await store.get('sid'))
  t.deepEqual(Object.getOwnPropertyNames(loaded), Object.getOwnPropertyNames(bare))
  t.deepEqual(Object.keys(loaded), ['cookie', 'user'])
  t.deepEqual(Object.getOwnPropertySymbols({ ...loaded }), [])
  t.is(JSON.stringify(loaded), JSON.stringify(bare))
  t.deepEqual(Reflect.ownKeys(await store.get('sid')), ['cookie', 'user'])
})

test('two sessions that were read at once keep each other’s keys, additions and deletions', async (t) => {
  const store = await openWith(t, { user: 'ada', draft: 1, n: 1 })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.a = 1
  one.n = 2
  delete other.draft
  other.b = { c: 1 }
  other.n = 3
  await store.set('sid', one)
  await store.set('sid', other)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1, n: 3, b: { c: 1 } })
  const { merges, sets, refusedWrites } = store.stats()
  t.deepEqual({ merges, sets, refusedWrites }, { merges: 1, sets: 3, refusedWrites: 0 })
})

test('a write that nobody came before merges nothing', async (t) => {
  const store = await openWith(t)
  const loaded = await load(store, 'sid')
  for (let n = 0; n < 3; n++) {
    loaded.n = n
    await store.set('sid', loaded)
    await store.get('sid')
    await store.touch('sid', loaded)
  }
  t.is(store.stats().merges, 0)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', n: 2 })
})

test('a renewal by another request is no change', async (t) => {
  const store = open(t)
  await store.set('sid', { cookie: new session.Cookie({ maxAge: HOUR }), user: 'ada' })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  await store.touch('sid', other)
  one.a = 1
  await store.set('sid', one)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1 })
  t.is(store.stats().merges, 0)
})

for (const [name, end] of [
  ['destroy', (store) => store.destroy('sid')],
  ['destroy of several', (store) => store.destroy(['other', 'sid'])],
  ['clear', (store) => store.clear()],
]) {
  test(`after ${name} a session that was read before is not written, without an error`, async (t) => {
    const store = await openWith(t)
    const loaded = await load(store, 'sid')
    await end(store)
    const args = await new Promise((resolve) =>
      store.set('sid', loaded, (...args) => resolve(args)),
    )
    t.deepEqual(args, [null])
    await store.touch('sid', loaded)
    t.is(await store.get('sid'), undefined)
    t.is(store.stats().refusedWrites, 1)
  })

  test(`after ${name} a session of the same sid that was set since is not overwritten`, async (t) => {
    const store = await openWith(t)
    const loaded = await load(store, 'sid')
    await end(store)
    await store.set('sid', { cookie: cookie(), user: 'bob' })
    await store.set('sid', loaded)
    t.deepEqual(await stored(store, 'sid'), { user: 'bob' })
    const again = await load(store, 'sid')
    again.n = 1
    await store.set('sid', again)
    t.deepEqual(await stored(store, 'sid'), { user: 'bob', n: 1 })
  })
}

test('a destroyed session stays destroyed even if it had expired or been evicted before', async (t) => {
  const store = await openWith(t, {}, { max: 1 })
  const loaded = await load(store, 'sid')
  await store.set('other', { cookie: cookie() })
  t.is(await store.get('sid'), undefined, 'evicted')
  await store.destroy('sid')
  await store.set('sid', loaded)
  t.is(await store.get('sid'), undefined)
})

test('a session that was merely evicted is written', async (t) => {
  const store = await openWith(t, { user: 'ada' }, { max: 1 })
  const loaded = await load(store, 'sid')
  await store.set('other', { cookie: cookie() })
  loaded.n = 1
  await store.set('sid', loaded)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', n: 1 })
})

test.serial(
  'a session that merely expired is written, whether or not anything came across it',
  async (t) => {
    const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    for (const comeAcross of [() => {}, (store) => store.prune(), (store) => store.get('sid')]) {
      const store = await openWith(t, { user: 'ada' }, { ttl: 1000 })
      const loaded = await load(store, 'sid')
      clock.tick(1001)
      await comeAcross(store)
      loaded.n = 1
      await store.set('sid', loaded)
      t.deepEqual(await stored(store, 'sid'), { user: 'ada', n: 1 })
      t.is(store.stats().merges, 0)
    }
  },
)

test('a session that nobody loaded is written as memorystore writes it', async (t) => {
  const store = await openWith(t)
  const read = await store.get('sid')
  await store.set('sid', { cookie: cookie(), a: 1 })
  await store.set('sid', { ...read, b: 1 })
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', b: 1 })
  await store.destroy('sid')
  await store.set('sid', read)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada' })
})

test('a loaded session that is saved under another sid is written as it is', async (t) => {
  const store = await openWith(t)
  const loaded = await load(store, 'sid')
  await store.set('other', { cookie: cookie(), theirs: 1 })
  await store.destroy('sid')
  await store.set('other', loaded)
  t.deepEqual(await stored(store, 'other'), { user: 'ada' })
})

test('a loaded session means nothing to another store', async (t) => {
  const [one, other] = [await openWith(t), open(t)]
  const loaded = await load(one, 'sid')
  await other.set('sid', { cookie: cookie(), theirs: 1 })
  await other.set('sid', loaded)
  t.deepEqual(await stored(other, 'sid'), { user: 'ada' })
})

test('a session of a promisified get is tied as well, and so is one made late', async (t) => {
  const store = await openWith(t)
  const both = await Promise.all([store.get('sid'), store.get('sid')])
  await new Promise((resolve) => setTimeout(resolve, 5))
  const [one, other] = both.map((read) => store.createSession({ sessionID: 'sid' }, read))
  one.a = 1
  other.b = 1
  await store.set('sid', one)
  await store.set('sid', other)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1, b: 1 })
})

test('createSession takes what the store did not read', async (t) => {
  const store = await openWith(t)
  const made = store.createSession({ sessionID: 'sid' }, { cookie: cookie(), mine: 1 })
  await store.set('sid', made)
  t.deepEqual(await stored(store, 'sid'), { mine: 1 })
})

for (const [name, serializer] of [
  [
    'text',
    {
      stringify: (value) => `v1 ${JSON.stringify(value)}`,
      parse: (text) => JSON.parse(text.slice(3)),
    },
  ],
  [
    'a Buffer',
    {
      stringify: (value) =>
        v8.serialize(structuredClone({ ...value, cookie: { ...value.cookie } })),
      parse: (bytes) => v8.deserialize(bytes),
    },
  ],
  [
    'a Uint8Array',
    {
      stringify: (value) => new TextEncoder().encode(JSON.stringify(value)),
      parse: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
    },
  ],
]) {
  test(`sessions of a serializer to ${name} are merged`, async (t) => {
    const store = await openWith(t, { since: 1 }, { serializer })
    const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
    one.a = 1
    other.b = 1
    delete other.since
    await store.set('sid', one)
    await store.set('sid', other)
    t.deepEqual(await stored(store, 'sid'), { a: 1, b: 1 })
    t.is(store.stats().merges, 1)
  })
}

for (const [name, serializer] of [
  ['none', undefined],
  ['one to text', { stringify: (value) => JSON.stringify(value), parse: JSON.parse }],
  ['v8', { stringify: (value) => v8.serialize(value), parse: v8.deserialize }],
]) {
  test(`a request that only reads keeps the lifetime that another one set; serializer: ${name}`, async (t) => {
    const store = open(t, { serializer })
    const req = { sessionID: 'sid', sessionStore: store }
    const fresh = store.createSession(req, { cookie: { originalMaxAge: 60_000, path: '/' } })
    fresh.cookie.maxAge = 60_000
    await store.set('sid', fresh)
    const [reader, login] = [await load(store, 'sid'), await load(store, 'sid')]
    login.cookie.maxAge = 24 * HOUR
    await store.set('sid', login)
    reader.touch()
    await store.touch('sid', reader)
    t.true((await store.info('sid')).expires > Date.now() + 23 * HOUR)
    t.is((await load(store, 'sid')).cookie.originalMaxAge, 24 * HOUR)
  })

  test(`what a request removed from the cookie does not come back; serializer: ${name}`, async (t) => {
    const store = open(t, { serializer })
    await store.set('sid', { cookie: { ...cookie(), sameSite: 'none', partitioned: true } })
    const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
    delete one.cookie.sameSite
    delete one.cookie.partitioned
    await store.set('sid', one)
    other.n = 1
    await store.set('sid', other)
    const { cookie: stored, n } = await store.get('sid')
    t.deepEqual([n, stored.sameSite, stored.partitioned], [1, undefined, undefined])
  })
}

test('a serializer that uses its buffer again changes nothing that was read or written', async (t) => {
  const shared = Buffer.alloc(1000)
  const serializer = {
    stringify: (value) => shared.subarray(0, shared.write(JSON.stringify(value))),
    parse: (bytes) => JSON.parse(bytes),
  }
  const store = await openWith(t, { a: 1 }, { serializer })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.b = 1
  await store.set('sid', one)
  other.c = 1
  await store.set('sid', other)
  one.d = 1
  await store.set('sid', one)
  t.deepEqual(await stored(store, 'sid'), { a: 1, b: 1, c: 1, d: 1 })
})

test('a second write after a merge keeps what the merge took in, though nobody came between', async (t) => {
  const store = await openWith(t)
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.a = 1
  await store.set('sid', one)
  other.b = 1
  await store.set('sid', other)
  other.c = 1
  await store.set('sid', other)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1, b: 1, c: 1 })
})

test('a session that was stored under another sid as well is tied to its own', async (t) => {
  const store = await openWith(t)
  const loaded = await load(store, 'sid')
  await store.set('backup', loaded)
  await store.destroy('sid')
  await store.set('sid', loaded)
  t.is(await store.get('sid'), undefined)
  t.deepEqual(await stored(store, 'backup'), { user: 'ada' })
})

test('a Proxy of a session is tied as the session is', async (t) => {
  const store = await openWith(t)
  const proxy = new Proxy(await load(store, 'sid'), {})
  await store.destroy('sid')
  await store.set('sid', proxy)
  t.is(await store.get('sid'), undefined)
})

test('a frozen session can be written again and again', async (t) => {
  const store = await openWith(t)
  const frozen = Object.freeze(await load(store, 'sid'))
  for (let n = 0; n < 3; n++) {
    await store.set('sid', frozen)
    t.deepEqual(await stored(store, 'sid'), { user: 'ada' })
  }
  await store.destroy('sid')
  await store.set('sid', frozen)
  t.is(await store.get('sid'), undefined)
})

test('two sessions that were made of one object each merge what is theirs', async (t) => {
  const store = await openWith(t)
  const read = await store.get('sid')
  const [one, other] = [0, 1].map(() => store.createSession({ sessionID: 'sid' }, read))
  one.a = 1
  other.b = 1
  await store.set('sid', one)
  await store.set('sid', other)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1, b: 1 })
})

test('a module that has a Store and no Session will do', async (t) => {
  const store = new (createMemoryStore({ Store: session.Store }))()
  await store.set('sid', { cookie: cookie(), user: 'ada' })
  const loaded = await load(store, 'sid')
  await store.destroy('sid')
  await store.set('sid', loaded)
  t.is(await store.get('sid'), undefined)
})

test('an empty text that another one stored is overwritten', async (t) => {
  let text
  const serializer = { stringify: (value) => text ?? JSON.stringify(value), parse: JSON.parse }
  const store = await openWith(t, {}, { serializer })
  const loaded = await load(store, 'sid')
  text = ''
  await store.set('sid', {})
  text = undefined
  loaded.n = 1
  await store.set('sid', loaded)
  t.deepEqual(await stored(store, 'sid'), { n: 1 })
  t.is(store.stats().merges, 0)
})

test('a merge gives the serializer the cookie as every set does', async (t) => {
  const serializer = {
    stringify: (value) => JSON.stringify({ ...value, cookie: value.cookie.toJSON?.() ?? fail() }),
    parse: JSON.parse,
  }
  const fail = () => {
    throw new Error('no cookie of express-session')
  }
  const store = open(t, { serializer })
  await store.set('sid', { cookie: new session.Cookie(cookie()), user: 'ada' })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.a = 1
  other.b = 1
  await store.set('sid', one)
  await store.set('sid', other)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1, b: 1 })
})

test('a store that is closed by a serializer in a merge says so', async (t) => {
  const serializer = {
    stringify: JSON.stringify,
    parse: (text) => {
      if (isClosing) store.close()
      return JSON.parse(text)
    },
  }
  let isClosing = false
  const store = await openWith(t, {}, { serializer })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  await store.set('sid', one)
  isClosing = true
  await t.throwsAsync(store.set('sid', other), { code: 'ERR_MEMORYSTORE_CLOSED' })
})

test.serial(
  'a session that was evicted is written, though others logged out long before',
  async (t) => {
    const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    const store = await openWith(t, { user: 'ada' }, { max: 1, ttl: HOUR })
    await store.destroy('stranger')
    clock.tick(11 * 60_000)
    const loaded = await load(store, 'sid')
    await store.set('other', {})
    await store.destroy('other')
    await store.set('sid', loaded)
    t.deepEqual(await stored(store, 'sid'), { user: 'ada' })
    t.is(store.stats().refusedWrites, 0)
  },
)

test('where a session is no object the last writer wins', async (t) => {
  const serializer = {
    stringify: JSON.stringify,
    parse: (text) => Object.entries(JSON.parse(text)),
  }
  const store = open(t, { serializer })
  const made = () =>
    store.createSession({ sessionID: 'sid' }, Object.assign(read, { cookie: cookie() }))
  await store.set('sid', { cookie: cookie(), a: 1 })
  const read = await store.get('sid')
  const one = made()
  const other = made()
  one.b = 1
  other.c = 1
  await store.set('sid', one)
  await store.set('sid', other)
  const keys = JSON.parse(await storedText(store, 'sid'))
  t.deepEqual([keys.b, keys.c, store.stats().merges], [undefined, 1, 0])
})

test('an error of the serializer in a merge goes to the callback, and what is stored stays', async (t) => {
  let isBroken = false
  const serializer = {
    stringify: JSON.stringify,
    parse: (text) => {
      if (isBroken) throw new Error('broken')
      return JSON.parse(text)
    },
  }
  const store = await openWith(t, {}, { serializer })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.a = 1
  await store.set('sid', one)
  isBroken = true
  other.b = 1
  await t.throwsAsync(store.set('sid', other), { message: 'broken' })
  isBroken = false
  t.deepEqual(await stored(store, 'sid'), { a: 1 })
})

test('a merged session that is too large is refused, and what is stored stays', async (t) => {
  const store = await openWith(t, {}, { maxBytes: 1200 })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.a = 'a'.repeat(500)
  other.b = 'b'.repeat(500)
  await store.set('sid', one)
  await t.throwsAsync(store.set('sid', other), { code: 'ERR_MEMORYSTORE_TOO_LARGE' })
  t.deepEqual(await stored(store, 'sid'), { a: one.a })
})

test('a request that saves twice at once removes what it has removed in between', async (t) => {
  const store = await openWith(t)
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  other.b = 1
  const writes = [store.set('sid', other)]
  one.draft = 'x'
  writes.push(store.set('sid', one))
  delete one.draft
  one.a = 1
  writes.push(store.set('sid', one))
  await Promise.all(writes)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1, b: 1 })
})

test('a body that a merge takes the place of is disposed of once', async (t) => {
  const disposed = []
  const store = await openWith(t, {}, { dispose: (sid, body) => disposed.push(JSON.parse(body)) })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.a = 1
  other.b = 1
  await store.set('sid', one)
  await store.set('sid', other)
  t.deepEqual(
    disposed.map(({ a, b }) => ({ a, b })),
    [
      { a: undefined, b: undefined },
      { a: 1, b: undefined },
    ],
  )
})

test.serial(
  'what is remembered of destroyed sessions counts in the bytes, and is forgotten',
  async (t) => {
    const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    const store = open(t)
    for (let n = 0; n < 1000; n++) store.destroy(`sid-${n}`)
    const { bytes } = store.stats()
    t.true(bytes >= 1000 * 50 && bytes <= 1000 * 100, `${bytes}`)
    clock.tick(10 * 60_000 + 1)
    for (let n = 0; n < 100; n++) await store.set('sid', {})
    await store.destroy('sid')
    t.true(store.stats().bytes < 1000)
  },
)

test('a conflict or a destroyed that is neither word gives a warning and acts as the default', async (t) => {
  const warnings = []
  const listen = (warning) => warnings.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const store = await openWith(t, {}, { conflict: 'last', destroyed: true })
  await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(
    warnings.filter(({ code }) => code === 'MEMORYSTORE_OPTION').map(({ message }) => message),
    [
      "memorystore-rs: the option `conflict` is a string, but should be 'merge' or 'overwrite' or a function; it acts as 'merge'",
      "memorystore-rs: the option `destroyed` is a boolean, but should be 'forgotten' or 'final'; it acts as 'forgotten'",
    ],
  )
  await store.destroy('sid')
  await store.set('sid', {})
  t.not(await store.get('sid'), undefined)
})

test.serial('where destroyed is final nobody writes the sid for ten minutes', async (t) => {
  const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  const store = await openWith(t, {}, { destroyed: 'final', ttl: HOUR })
  await store.set('cleared', {})
  await store.destroy('sid')
  await store.clear()
  for (const sid of ['sid', 'cleared']) {
    await store.set(sid, {})
    t.is(await store.get(sid), undefined)
  }
  await store.set('another', {})
  t.not(await store.get('another'), undefined)
  clock.tick(10 * 60_000 + 1)
  await store.set('sid', {})
  t.not(await store.get('sid'), undefined)
  t.is(store.stats().refusedWrites, 2)
})

// ---- cookies

const SERIALIZERS = {
  JSON: undefined,
  'a serializer to text': {
    stringify: (value) => `v1 ${JSON.stringify(value)}`,
    parse: (text) => JSON.parse(text.slice(3)),
  },
  'a serializer that knows dates': {
    stringify: (value) => {
      const { cookie, ...rest } = value
      return v8.serialize(structuredClone({ cookie: { ...cookie.data }, ...rest }))
    },
    parse: (bytes) => v8.deserialize(bytes),
  },
}

/** A store in which `sid` has a cookie for an hour, and two requests that have read it. */
async function openWithTwo(t, options) {
  const clock = FakeTimers.install({ now: 1_700_000_000_000, toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  const store = open(t, options)
  const made = new session.Cookie({ maxAge: HOUR, sameSite: 'lax' })
  await store.set('sid', { cookie: made, user: 'ada' })
  // So that the touches that follow find what a touch leaves, and not only what a set does.
  await store.touch('sid', { cookie: made })
  return { store, clock, one: await load(store, 'sid'), other: await load(store, 'sid') }
}

/** What is left of the lifetime of the cookie that is stored, and its other members. */
async function storedCookie(store) {
  const { cookie } = await store.get('sid')
  const { expires, ...rest } = JSON.parse(JSON.stringify(cookie))
  return { left: expires && Date.parse(expires) - Date.now(), ...rest }
}

const WRITES = {
  'a touch': (store, loaded) => store.touch('sid', loaded),
  'a write': (store, loaded) => {
    loaded.n = 1
    return store.set('sid', loaded)
  },
}

for (const [kind, serializer] of Object.entries(SERIALIZERS)) {
  for (const [mine, write] of Object.entries(WRITES)) {
    for (const [theirs, writeTheirs] of Object.entries(WRITES)) {
      const title = `${mine} after ${theirs} (${kind})`

      test.serial(`what another request made of the cookie stays: ${title}`, async (t) => {
        const { store, clock, one, other } = await openWithTwo(t, { serializer })
        other.cookie.maxAge = 30 * 24 * HOUR
        other.cookie.sameSite = 'strict'
        await writeTheirs(store, other)
        clock.tick(1000)
        one.touch()
        one.cookie.path = '/mine'
        await write(store, one)
        const { left, originalMaxAge, path, sameSite } = await storedCookie(store)
        t.deepEqual(
          { left, originalMaxAge, path, sameSite },
          {
            left: 30 * 24 * HOUR - 1000,
            originalMaxAge: 30 * 24 * HOUR,
            path: '/mine',
            sameSite: 'strict',
          },
        )
        clock.tick(29 * 24 * HOUR)
        t.not(await store.get('sid'), undefined, 'and it lives as long')
      })

      test.serial(`so it does where the clock goes on within a renewal: ${title}`, async (t) => {
        const { store, clock, one, other } = await openWithTwo(t, { serializer })
        other.cookie.maxAge = 30 * 24 * HOUR
        await writeTheirs(store, other)
        // express-session reads it twice.
        const now = Date.now
        Date.now = () => {
          clock.setSystemTime(now() + 1)
          return now()
        }
        one.touch()
        Date.now = now
        t.true(one.cookie.originalMaxAge < HOUR)
        await write(store, one)
        t.is((await storedCookie(store)).originalMaxAge, 30 * 24 * HOUR)
      })

      test.serial(`a renewal stays though who read before ends later: ${title}`, async (t) => {
        const { store, clock, one, other } = await openWithTwo(t, { serializer })
        clock.tick(HOUR / 2)
        other.touch()
        await writeTheirs(store, other)
        await write(store, one)
        t.is((await storedCookie(store)).left, HOUR)
        clock.tick(HOUR)
        t.not(await store.get('sid'), undefined, 'and it lives as long')
        clock.tick(1)
        t.is(await store.get('sid'), undefined, 'and no longer')
      })

      test.serial(`a lifetime that a request shortens is short: ${title}`, async (t) => {
        const { store, clock, one, other } = await openWithTwo(t, { serializer })
        other.touch()
        await writeTheirs(store, other)
        one.cookie.maxAge = 60_000
        await write(store, one)
        const { left, originalMaxAge } = await storedCookie(store)
        t.deepEqual({ left, originalMaxAge }, { left: 60_000, originalMaxAge: 60_000 })
        clock.tick(60_001)
        t.is(await store.get('sid'), undefined)
      })

      test.serial(`a lifetime that another request shortened stays short: ${title}`, async (t) => {
        const { store, clock, one, other } = await openWithTwo(t, { serializer })
        other.cookie.maxAge = 60_000
        await writeTheirs(store, other)
        one.touch()
        await write(store, one)
        const { left, originalMaxAge } = await storedCookie(store)
        t.deepEqual({ left, originalMaxAge }, { left: 60_000, originalMaxAge: 60_000 })
        clock.tick(60_001)
        t.is(await store.get('sid'), undefined)
      })
    }

    test.serial(
      `a lifetime that a ttl function shortens is short: ${mine} (${kind})`,
      async (t) => {
        let ttl = HOUR
        const { store, clock, one } = await openWithTwo(t, { serializer, ttl: () => ttl })
        ttl = 1000
        await write(store, one)
        clock.tick(1001)
        t.is(await store.get('sid'), undefined)
      },
    )

    test.serial(
      `an earlier clock shortens what nobody else has renewed: ${mine} (${kind})`,
      async (t) => {
        const { store, clock, one } = await openWithTwo(t, { serializer })
        clock.setSystemTime(Date.now() - HOUR / 2)
        one.touch()
        await write(store, one)
        t.is((await storedCookie(store)).left, HOUR)
      },
    )

    test.serial(
      `with conflict 'overwrite' the cookie is as given: ${mine} (${kind})`,
      async (t) => {
        const { store, one, other } = await openWithTwo(t, { serializer, conflict: 'overwrite' })
        other.cookie.maxAge = 30 * 24 * HOUR
        await store.touch('sid', other)
        await write(store, one)
        t.is((await storedCookie(store)).left, HOUR)
      },
    )
  }
}

test.serial('a cookie of its class goes to the serializer after a merge', async (t) => {
  const areCookies = []
  const serializer = {
    stringify: (value) => {
      areCookies.push(value.cookie instanceof session.Cookie)
      return JSON.stringify(value)
    },
    parse: JSON.parse,
  }
  const { store, one, other } = await openWithTwo(t, { serializer })
  other.cookie.maxAge = 2 * HOUR
  await store.touch('sid', other)
  one.n = 1
  await store.set('sid', one)
  t.is(store.stats().merges, 1)
  t.false(areCookies.includes(false))
  t.is((await storedCookie(store)).originalMaxAge, 2 * HOUR)
})

// ---- a function as `conflict`

test('a function that is the conflict option counts what two requests counted', async (t) => {
  const store = await openWith(
    t,
    { views: 10 },
    {
      conflict: (base, theirs, mine) => ({
        ...MemoryStore.merge(base, theirs, mine),
        views: theirs.views + mine.views - base.views,
      }),
    },
  )
  const loaded = []
  for (let n = 0; n < 5; n++) loaded.push(await load(store, 'sid'))
  for (const [n, session] of loaded.entries()) {
    session.views++
    session[`key${n}`] = n
    await store.set('sid', session)
    session.views++
    await store.set('sid', session)
  }
  t.deepEqual(await stored(store, 'sid'), {
    views: 20,
    key0: 0,
    key1: 1,
    key2: 2,
    key3: 3,
    key4: 4,
  })
})

test('such a function gets what was read, what is stored, and what is to be written', async (t) => {
  const calls = []
  const conflict = (...args) => {
    calls.push(args.map(({ cookie, ...rest }) => [rest, cookie.path]))
    return args[2]
  }
  const store = await openWith(t, { n: 0 }, { conflict })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.n = 1
  await store.set('sid', one)
  t.deepEqual(calls, [], 'nobody came before')
  other.n = 2
  await store.set('sid', other)
  t.deepEqual(calls, [
    [
      [{ n: 0 }, '/'],
      [{ n: 1 }, '/'],
      [{ n: 2 }, '/'],
    ],
  ])
  t.deepEqual(await stored(store, 'sid'), { n: 2 })
  t.is(store.stats().merges, 1)
})

test.serial(
  'what such a function returns has the merged cookie, unless it makes one',
  async (t) => {
    for (const [conflict, path] of [
      [(_base, theirs) => theirs, '/theirs'],
      [(_base, _theirs, mine) => mine, '/theirs'],
      [() => ({ n: 1 }), '/theirs'],
      [(_base, _theirs, mine) => ({ ...mine, cookie: { ...mine.cookie, path: '/own' } }), '/own'],
    ]) {
      const { store, one, other } = await openWithTwo(t, { conflict })
      other.cookie.path = '/theirs'
      await store.touch('sid', other)
      one.cookie.sameSite = 'strict'
      one.n = 1
      await store.set('sid', one)
      const cookie = await storedCookie(store)
      t.deepEqual(
        [cookie.path, cookie.sameSite, cookie.left],
        [path, 'strict', HOUR],
        `${conflict}`,
      )
      t.is((await stored(store, 'sid')).n, conflict.length === 2 ? undefined : 1)
      store.close()
      Date.clock?.uninstall()
    }
  },
)

test('what such a function throws goes to the callback, and nothing is written', async (t) => {
  const error = new Error('cannot merge')
  const store = await openWith(
    t,
    { n: 0 },
    {
      conflict: () => {
        throw error
      },
    },
  )
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.n = 1
  await store.set('sid', one)
  other.n = 2
  t.is(await t.throwsAsync(store.set('sid', other)), error)
  t.deepEqual(await stored(store, 'sid'), { n: 1 })
  t.is(store.stats().merges, 0)
})

for (const [kind, result] of [
  ['undefined', undefined],
  ['null', null],
  ['a string', 'secret'],
  ['a promise', Promise.resolve({})],
]) {
  test(`such a function that returns ${kind} is a TypeError to the callback`, async (t) => {
    const store = await openWith(t, { n: 0 }, { conflict: () => result })
    const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
    one.n = 1
    await store.set('sid', one)
    other.n = 2
    await t.throwsAsync(store.set('sid', other), {
      instanceOf: TypeError,
      message: `memorystore-rs: the function \`conflict\` returned ${kind}; it has to return the session to write`,
    })
    t.deepEqual(await stored(store, 'sid'), { n: 1 })
  })
}

test('a session that can get no further members from parse is merged like any other', async (t) => {
  const parse = (text) => Object.preventExtensions(JSON.parse(text))
  const serializer = { stringify: JSON.stringify, parse }
  const store = await openWith(t, { user: 'ada' }, { serializer })
  const [one, other] = [await load(store, 'sid'), await load(store, 'sid')]
  one.a = 1
  other.b = 1
  await store.set('sid', one)
  await store.set('sid', other)
  t.deepEqual(await stored(store, 'sid'), { user: 'ada', a: 1, b: 1 })
})

for (const destroyed of ['forgotten', 'final']) {
  test(`@fastify/session: a logout during a slow request stays one only if it is final: ${destroyed}`, async (t) => {
    const store = new (createMemoryStore())({ destroyed })
    const app = fastify()
    t.teardown(() => app.close())
    app.register(require('@fastify/cookie'))
    app.register(require('@fastify/session'), {
      secret: 's'.repeat(32),
      cookie: { secure: false },
      saveUninitialized: false,
      store,
    })
    let arrive, pass
    const arrived = new Promise((resolve) => (arrive = resolve))
    const passed = new Promise((resolve) => (pass = resolve))
    app.post('/login', async (req) => (req.session.user = 'ada'))
    app.post('/logout', async (req) => req.session.destroy())
    app.post('/slow', async (req) => {
      arrive()
      await passed
      req.session.page = 'slow'
    })
    app.get('/me', async (req) => ({ user: req.session.user }))

    const login = await app.inject({ method: 'POST', url: '/login' })
    const headers = { cookie: login.headers['set-cookie'].split(';')[0] }
    const slow = app.inject({ method: 'POST', url: '/slow', headers })
    await arrived
    await app.inject({ method: 'POST', url: '/logout', headers })
    pass()
    await slow
    const { user } = (await app.inject({ url: '/me', headers })).json()
    t.is(user, destroyed === 'final' ? undefined : 'ada')
  })
}

test('DEBUG tells of a merge and of a refused write in one line each, without sid and content', async (t) => {
  const { stderr, code } = await runScript(
    `const session = require('express-session')
     const store = new (require('.')(session))()
     const load = async () => store.createSession({ sessionID: 'secret-sid' }, await store.get('secret-sid'))
     async function main() {
       await store.set('secret-sid', { cookie: {}, a: 'secret-a' })
       const [one, other, late] = [await load(), await load(), await load()]
       one.b = 'secret-b'
       await store.set('secret-sid', one)
       await store.set('secret-sid', other)
       await store.destroy('secret-sid')
       await store.set('secret-sid', late)
     }
     main()`,
    { env: { DEBUG: 'memorystore' } },
  )
  t.is(code, 0)
  t.is(stderr.match(/ MERGE [0-9a-f]{8}/g)?.length, 1, stderr)
  t.is(stderr.match(/ REFUSED [0-9a-f]{8}/g)?.length, 1, stderr)
  t.notRegex(stderr, /secret/)
})
