'use strict'

// Sessions of nobody go before those of users, where `max` or `maxBytes` bind.

const test = require('ava')
const client = require('prom-client')
const { collectStoreMetrics } = require('../prometheus.js')
const { MemoryStore, disposingStore, watchWarnings } = require('./helpers/stores.js')

const visitor = (more) => ({ cookie: {}, ...more })
const of = (user, more) => ({ cookie: {}, user, ...more })

/** A store of these options that lists the sids that it evicts. */
function open(t, options) {
  const evicted = []
  const dispose = (sid, _body, reason) => reason === 'evicted' && evicted.push(sid)
  const store = new MemoryStore({ user: 'user', noDisposeOnSet: true, ...options, dispose })
  t.teardown(() => store.close())
  return { store, evicted }
}

/** Writes sessions whose sids are numbers, from the first to before the last. */
async function fill(store, from, to, session) {
  for (let n = from; n < to; n++) await store.set(String(n), session(n))
}

/** What a metric without labels says. */
async function valueOf(register, name) {
  const { values } = await register.getSingleMetric(name).get()
  return values[0].value
}

for (const [way, more] of Object.entries({
  'by a path': {},
  'by a function': { user: (session) => session.user },
  'in a shared store': { name: 'anonymous.spec' },
})) {
  test.serial(`sessions of nobody go first, then those of users; ${way}`, async (t) => {
    const { store, evicted } = open(t, { max: 4, ...more })
    await store.set('ann', of('ann'))
    await store.set('one', visitor())
    await store.set('bob', of('bob'))
    await store.set('two', visitor())
    await store.get('one')
    await store.get('ann')
    await fill(store, 0, 4, () => of('cy'))
    t.deepEqual(evicted, ['two', 'one', 'bob', 'ann'])
    t.deepEqual(await store.ids(), ['3', '2', '1', '0'])
    t.is(store.stats().evictionsOfUsers, 2)
    t.is(store.stats().evictionsByCount, 4)
  })
}

test('a session is one of a user from its login to its logout', async (t) => {
  const { store, evicted } = open(t, { max: 3 })
  await store.set('a', visitor())
  await store.set('b', visitor())
  await store.set('c', of('ann'))
  await store.set('a', of('bob'))
  await store.set('c', visitor())
  t.is(store.stats().anonymous, 2)
  await fill(store, 0, 3, () => of('cy'))
  t.deepEqual(evicted, ['b', 'c', 'a'])
})

test('what a merge makes of a session is what counts', async (t) => {
  const { store, evicted } = open(t, { max: 3 })
  await store.set('a', visitor())
  const read = async () => store.createSession({ sessionID: 'a' }, await store.get('a'))
  const [login, other] = [await read(), await read()]
  await store.set('a', Object.assign(login, { user: 'ann' }))
  await store.set('a', Object.assign(other, { seen: true }))
  await fill(store, 0, 10, visitor)
  t.false(evicted.includes('a'))
  t.is((await store.get('a')).user, 'ann')
})

test('a touch moves a session to the end of its own kind only', async (t) => {
  const { store, evicted } = open(t, { max: 4 })
  for (const [sid, session] of [
    ['ann', of('ann')],
    ['one', visitor()],
    ['bob', of('bob')],
    ['two', visitor()],
  ]) {
    await store.set(sid, session)
  }
  for (const sid of ['ann', 'one']) await store.touch(sid, { cookie: {} })
  await fill(store, 0, 4, () => of('cy'))
  t.deepEqual(evicted, ['two', 'one', 'bob', 'ann'])
})

test('so it is where maxBytes binds', async (t) => {
  const { store, evicted } = open(t, { maxBytes: 100_000 })
  await fill(store, 0, 100, (n) => of(`user-${n}`))
  const padding = 'x'.repeat(1000)
  await fill(store, 100, 1000, () => visitor({ padding }))
  t.true(evicted.length > 500)
  t.deepEqual(
    evicted,
    Array.from(evicted, (_sid, n) => String(100 + n)),
  )
  t.deepEqual([store.stats().evictionsOfUsers, store.stats().anonymous > 0], [0, true])
  for (let n = 0; n < 100; n++) t.is((await store.get(String(n))).user, `user-${n}`)
})

test('a flood ends no session of a user, and leaves those who log in meanwhile', async (t) => {
  const { store } = open(t, { max: 1000 })
  await fill(store, 0, 500, (n) => of(`user-${n}`))
  for (let n = 500; n < 20_500; n++) {
    await store.set(`bot-${n}`, visitor())
    if (n % 50 === 0) await store.set(String(n), of(`user-${n}`))
  }
  const { sessions, anonymous, evictionsOfUsers, evictionsByCount } = store.stats()
  t.deepEqual(
    { sessions, anonymous, evictionsOfUsers },
    {
      sessions: 1000,
      anonymous: 100,
      evictionsOfUsers: 0,
    },
  )
  t.is(evictionsByCount, 20_000 - 100)
})

test('very many that go in steps go in this order too', async (t) => {
  const { store, evicted } = open(t, { maxBytes: 2 ** 20 })
  await fill(store, 0, 500, (n) => of(`user-${n}`))
  await fill(store, 500, 2000, visitor)
  t.deepEqual(evicted, [])
  await store.set('large', of('ann', { padding: 'x'.repeat(700_000) }))
  await store.prune()
  t.true(evicted.length > 300, 'the background thread has gone on')
  t.deepEqual(
    evicted.filter((sid) => Number(sid) < 500),
    [],
  )
})

test('where users fill the store, a session of nobody goes at once', async (t) => {
  const { store, evicted } = open(t, { max: 2 })
  await fill(store, 0, 2, () => of('ann'))
  await store.set('visitor', visitor())
  t.is(await store.get('visitor'), undefined)
  t.deepEqual(evicted, ['visitor'])
})

test('with `anonymousFirst: false` the one used longest ago goes, whosever it is', async (t) => {
  const { store, evicted } = open(t, { max: 2, anonymousFirst: false })
  await store.set('ann', of('ann'))
  await store.set('one', visitor())
  await fill(store, 0, 2, visitor)
  t.deepEqual(evicted, ['ann', 'one'])
  const { anonymous, evictionsOfUsers } = store.stats()
  t.deepEqual({ anonymous, evictionsOfUsers }, { anonymous: 2, evictionsOfUsers: 1 })
})

test('without `user` the one used longest ago goes, and there are no such figures', async (t) => {
  const { store, disposed } = disposingStore(MemoryStore, { max: 2 })
  await store.set('ann', of('ann'))
  await store.set('one', visitor())
  await store.set('two', visitor())
  t.deepEqual(disposed, [['ann', JSON.stringify(of('ann'))]])
  t.false('anonymous' in store.stats() || 'evictionsOfUsers' in store.stats())
})

test('the number of sessions of nobody is right whatever ends them', async (t) => {
  const { store } = open(t, {})
  await fill(store, 0, 10, visitor)
  await fill(store, 10, 15, () => of('ann'))
  const anonymous = () => store.stats().anonymous
  t.is(anonymous(), 10)
  await store.destroy(['0', '10'])
  t.is(anonymous(), 9)
  await store.set('1', { cookie: { maxAge: -1 } })
  t.is(anonymous(), 8)
  await store.destroyUser('ann')
  t.is(anonymous(), 8)
  await store.set('expired', { cookie: { maxAge: -1 } })
  t.is(anonymous(), 9, 'it counts until it is removed')
  await store.prune()
  t.is(anonymous(), 8)
  await store.clear()
  t.is(anonymous(), 0)
})

test('the figures are metrics of prom-client, of stores that know users only', async (t) => {
  const register = new client.Registry()
  const options = { client, register }
  collectStoreMetrics(new MemoryStore(), options)
  const names = ['memorystore_anonymous_sessions', 'memorystore_evictions_of_users_total']
  t.deepEqual(
    names.map((name) => register.getSingleMetric(name)),
    [undefined, undefined],
  )
  const store = new MemoryStore({ user: 'user', max: 3 })
  collectStoreMetrics(store, options)
  for (let n = 0; n < 5; n++) await store.set(`ann-${n}`, { user: 'ann' })
  const values = () => Promise.all(names.map((name) => valueOf(register, name)))
  t.deepEqual(await values(), [0, 2])
  await store.destroy('ann-4')
  await store.set('nobody', {})
  t.deepEqual(await values(), [1, 2])
  const types = names.map((name) => register.getSingleMetric(name).type)
  t.deepEqual(types, ['gauge', 'counter'])
})

test.serial('a value or a place that makes no sense is warned of', (t) => {
  const redis = { sendCommand() {} }
  for (const [options, pattern] of [
    [{ user: 'user', anonymousFirst: 'no' }, /`anonymousFirst` is .* a boolean; it acts as true/],
    [{ user: 'user', anonymousFirst: 0 }, /`anonymousFirst` is .* a boolean; it acts as false/],
    [{ anonymousFirst: false }, /`anonymousFirst` is .* with `user` only; it is ignored/],
    [{ user: 'user', redis, anonymousFirst: true }, /without `redis` only, .* it is ignored/],
  ]) {
    const { warnings } = watchWarnings(() => {
      try {
        new MemoryStore(options)
      } catch (err) {
        // It is no client.
        if (!options.redis) throw err
      }
    })
    t.is(warnings.length, 1)
    t.is(warnings[0].code, 'MEMORYSTORE_OPTION')
    t.regex(warnings[0].message, pattern)
  }
  const { warnings } = watchWarnings(() => {
    new MemoryStore({ user: 'user', anonymousFirst: false })
    new MemoryStore({ user: 'user', anonymousFirst: null })
  })
  t.deepEqual(warnings, [])
})
