'use strict'

// The option `touchAfter`: touches that would move the expiry by less are left out.

const test = require('ava')
const FakeTimers = require('@sinonjs/fake-timers')
const { MemoryStore } = require('./helpers/stores')

const MINUTE = 60_000

/** The ways in which a touch is done: in place, and by reading and writing. */
const WAYS = {
  'in place': {},
  'with a dispose': { dispose: () => {} },
  'with a serializer': {
    serializer: { stringify: (value) => JSON.stringify(value), parse: JSON.parse },
  },
}

for (const [way, options] of Object.entries(WAYS)) {
  test.serial(`a touch is left out where it would move the expiry by less; ${way}`, async (t) => {
    const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    const store = new MemoryStore({ ttl: 10 * MINUTE, touchAfter: MINUTE, ...options })
    const session = (n) => ({ cookie: { path: `/${n}` } })
    await store.set('sid', session(0))

    clock.tick(MINUTE - 1)
    await store.touch('sid', session(1))
    t.deepEqual(await store.get('sid'), session(0))
    t.is(store.stats().touches, 0)
    clock.tick(1)
    await store.touch('sid', session(2))
    t.deepEqual(await store.get('sid'), session(2))
    t.is(store.stats().touches, 1)

    clock.tick(10 * MINUTE)
    await store.touch('sid', session(3))
    t.deepEqual(await store.get('sid'), session(3), 'it was alive still, and lives on')
    clock.tick(10 * MINUTE + 1)
    await store.touch('sid', session(4))
    t.is(await store.get('sid'), undefined)
  })
}

test('a touch that is left out is a use', async (t) => {
  const store = new MemoryStore({ max: 2, touchAfter: MINUTE })
  await store.set('a', { cookie: {} })
  await store.set('b', { cookie: {} })
  await store.touch('a', { cookie: {} })
  await store.set('c', { cookie: {} })
  t.deepEqual(await store.ids(), ['c', 'a'])
})

test('a touch that makes the session live shorter is always done', async (t) => {
  let ttl = 10
  const store = new MemoryStore({ ttl: () => ttl, touchAfter: MINUTE })
  await store.set('sid', { cookie: {} })
  ttl = -1
  await store.touch('sid', { cookie: {} })
  t.is(await store.get('sid'), undefined)
})

test('set is never left out', async (t) => {
  const store = new MemoryStore({ touchAfter: Infinity })
  await store.set('sid', { n: 1 })
  await store.set('sid', { n: 2 })
  t.deepEqual(await store.get('sid'), { n: 2 })
})
