'use strict'

// The option `lifetime`: how long a session lives at most, whatever renews it.

const test = require('ava')
const { HOUR, MINUTE, WAYS, YEAR, cookieOf, request, withClock } = require('./helpers/lifetimes')
const { MemoryStore, watchWarnings } = require('./helpers/stores')

for (const [way, options] of Object.entries(WAYS)) {
  test.serial(`a session that is touched each minute is over in the end; ${way}`, async (t) => {
    const clock = withClock(t)
    const store = new MemoryStore({ ttl: 10 * MINUTE, ...options })
    await store.set('sid', { cookie: cookieOf(YEAR), user: 'ann' })
    for (let minute = 0; minute < 119; minute++) {
      clock.tick(MINUTE)
      const session = request(store, 'sid', await store.get('sid'))
      await store.touch('sid', session)
    }
    clock.tick(MINUTE)
    t.truthy(await store.get('sid'))
    clock.tick(1)
    t.is(await store.get('sid'), undefined)
  })

  test.serial(`writes do not lengthen it, nor does the cookie; ${way}`, async (t) => {
    const clock = withClock(t)
    const store = new MemoryStore(options)
    await store.set('sid', { cookie: cookieOf(YEAR), user: 'ann' })
    clock.tick(HOUR)
    await store.set('sid', { cookie: cookieOf(YEAR), user: 'ann', n: 1 })
    clock.tick(HOUR - 1)
    const [one, other] = await Promise.all([store.get('sid'), store.get('sid')])
    const [first, second] = [request(store, 'sid', one), request(store, 'sid', other)]
    first.a = 1
    await store.set('sid', first)
    second.b = 1
    await store.set('sid', second)
    const { session, expires } = await store.info('sid')
    t.deepEqual([session.a, session.b], [1, 1])
    t.deepEqual(expires, new Date(1e12 + 2 * HOUR))
    clock.tick(2)
    t.is(await store.get('sid'), undefined)

    // The sid begins a new life.
    await store.set('sid', { cookie: cookieOf(YEAR), user: 'ann' })
    t.deepEqual((await store.info('sid')).expires, new Date(Date.now() + 2 * HOUR))
  })
}

test.serial('another user begins a new life', async (t) => {
  const clock = withClock(t)
  const store = new MemoryStore({ lifetime: HOUR, user: 'user' })
  const set = (user) => store.set('sid', { cookie: cookieOf(YEAR), user })
  await set(undefined)
  clock.tick(MINUTE)
  await set('ann')
  const created = new Date(1e12 + MINUTE)
  t.deepEqual((await store.info('sid')).created, created)
  t.deepEqual((await store.info('sid')).expires, new Date(1e12 + MINUTE + HOUR))
  clock.tick(MINUTE)
  await set('ann')
  t.deepEqual((await store.info('sid')).created, created)
})

test.serial('the lifetime can depend on the session', async (t) => {
  withClock(t)
  const calls = []
  const store = new MemoryStore({
    ttl: 5000,
    lifetime: (options, session, sid) => {
      calls.push([options === store.options, sid])
      return session.lifetime
    },
  })
  const expires = async (lifetime) => {
    await store.set('sid', { cookie: {}, lifetime })
    return (await store.info('sid'))?.expires.getTime()
  }
  t.is(await expires(undefined), 1e12 + 5000)
  t.is(await expires(Infinity), 1e12 + 5000)
  t.is(await expires(1000), 1e12 + 1000)
  t.is(await expires(0), undefined)
  t.is(await expires(-1), undefined)
  t.deepEqual(calls[0], [true, 'sid'])
  for (const wrong of ['1000', NaN, null, {}]) {
    const error = { instanceOf: TypeError, message: /`lifetime`/ }
    await t.throwsAsync(store.set('sid', { cookie: {}, lifetime: wrong }), error)
    await store.set('sid', { cookie: {} })
    await t.throwsAsync(store.touch('sid', { cookie: {}, lifetime: wrong }), error)
  }
})

test.serial('a clock that was set back does not lengthen a life', async (t) => {
  const clock = withClock(t)
  const store = new MemoryStore({ lifetime: HOUR })
  await store.set('sid', { cookie: cookieOf(YEAR) })
  clock.setSystemTime(1e12 - 24 * HOUR)
  await store.touch('sid', { cookie: cookieOf(YEAR) })
  t.deepEqual((await store.info('sid')).expires, new Date(1e12 - 23 * HOUR))
})

test.serial('a session that is over may be read once more if the store is stale', async (t) => {
  const clock = withClock(t)
  const { value: store, warnings } = watchWarnings(() => {
    return new MemoryStore({ lifetime: HOUR, stale: true, user: 'user' })
  })
  t.is(warnings.length, 1)
  await store.set('sid', { cookie: cookieOf(YEAR), user: 'ann' })
  clock.tick(HOUR + 1)
  t.deepEqual(await store.sessionsOf('ann'), [])
  t.truthy(await store.get('sid'))
  t.is(await store.get('sid'), undefined)
})

test.serial('lifetimes that make no sense are errors', (t) => {
  for (const lifetime of ['1000', NaN, null, {}, true]) {
    t.throws(() => new MemoryStore({ lifetime }), { instanceOf: TypeError })
  }
  const { warnings } = watchWarnings(() => new MemoryStore({ lifetime: 0 }))
  t.is(warnings.length, 1)
})
