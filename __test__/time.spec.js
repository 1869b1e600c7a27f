'use strict'

/**
 * Whose clock counts. The date is what `Date.now()` says, faked or not, and the checkPeriod is
 * a JavaScript timer, so fake timers rule both; the background thread never goes by a clock of
 * its own. Fake clocks are of the whole process, hence the serial tests.
 */

const FakeTimers = require('@sinonjs/fake-timers')
const test = require('ava')

const { MemoryStore, Reference, disposingStore, until } = require('./helpers/stores.js')

const NOW = 1_700_000_000_000
const MAX_DELAY = 2 ** 31 - 1
const TIMERS = ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout']

/** Kept from before they are faked. */
const real = { setTimeout, setInterval, setImmediate }

const lasting = (maxAge) => ({ cookie: { maxAge } })

/** Lets any real timer of a millisecond that has been started tick, several times. */
async function realTicks() {
  for (let n = 0; n < 10; n++) await new Promise((resolve) => real.setTimeout(resolve, 1))
}

/** Fakes what `toFake` names for as long as `t` runs. */
function fake(t, toFake) {
  const clock = FakeTimers.install({ toFake, now: NOW })
  t.teardown(() => clock.uninstall())
  return clock
}

/** Counts the ticks of the intervals that are started while `t` runs. */
function countTicks(t) {
  const ticks = { count: 0 }
  globalThis.setInterval = (fn, ...rest) =>
    real.setInterval(
      () => {
        fn()
        ticks.count++
      },
      ...rest,
    )
  t.teardown(() => (globalThis.setInterval = real.setInterval))
  return ticks
}

// ---- expiry goes by the faked date

test.serial('a session expires when the faked date says so', async (t) => {
  const clock = fake(t, ['Date'])
  const store = new MemoryStore()
  store.set('a', lasting(3_600_000))
  clock.tick(3_600_000)
  t.truthy(await store.get('a'))
  clock.tick(1)
  t.is(await store.get('a'), undefined)
})

test.serial('a faked date in the far past or future is as good as any', async (t) => {
  const clock = fake(t, ['Date'])
  for (const now of [0, -1e12, 8.64e15 - 1000]) {
    clock.setSystemTime(now)
    const store = new MemoryStore()
    store.set('a', lasting(100))
    clock.setSystemTime(now + 100)
    t.truthy(await store.get('a'), String(now))
    clock.setSystemTime(now + 101)
    t.is(await store.get('a'), undefined, String(now))
  }
})

test.serial('a date that is set back lets sessions live longer', async (t) => {
  const clock = fake(t, ['Date'])
  const store = new MemoryStore()
  store.set('a', lasting(100))
  clock.setSystemTime(NOW - 1000)
  t.truthy(await store.get('a'))
  clock.setSystemTime(NOW + 100)
  t.truthy(await store.get('a'))
})

test.serial('a Date.now that is replaced by hand counts too', async (t) => {
  const { now } = Date
  t.teardown(() => (Date.now = now))
  const store = new MemoryStore()
  store.set('a', lasting(1000))
  Date.now = () => now() + 1001
  t.is(await store.get('a'), undefined)
})

for (const method of ['all', 'prune', 'touch']) {
  test.serial(`${method} goes by the faked date`, async (t) => {
    const clock = fake(t, ['Date'])
    const store = new MemoryStore()
    store.set('a', lasting(100))
    const call = () => (method === 'touch' ? store.touch('a', lasting(100)) : store[method]())
    clock.tick(100)
    await call()
    t.is(await store.length(), 1)
    clock.tick(101)
    await call()
    t.is(await store.length(), 0)
  })
}

// ---- the checkPeriod goes by the faked timers

for (const Store of [MemoryStore, Reference]) {
  const name = Store === MemoryStore ? 'memorystore-rs' : 'memorystore'

  test.serial(`a checkPeriod that is passed prunes (${name})`, async (t) => {
    const clock = fake(t, ['Date', ...TIMERS])
    const store = new Store({ checkPeriod: 1000 })
    const length = () => new Promise((resolve) => store.length((_err, count) => resolve(count)))
    store.set('a', lasting(500))
    store.set('b', lasting(1500))
    store.set('c', lasting(100_000))

    clock.tick(999)
    t.is(await length(), 3)
    clock.tick(1)
    t.is(await length(), 2)
    clock.tick(1000)
    t.is(await length(), 1)
    store.stopInterval()
    clock.tick(200_000)
    t.is(await length(), 1)
  })
}

test.serial('a checkPeriod passes only when the faked clock is moved', async (t) => {
  const clock = fake(t, [...TIMERS])
  const store = new MemoryStore({ checkPeriod: 1 })
  store.set('a', lasting(1))
  await realTicks()
  t.is(await store.length(), 1)
  clock.tick(1)
  t.is(await store.length(), 0)
  store.stopInterval()
})

test.serial('the interval is the one that fake timers made, and it is theirs to stop', (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const store = new MemoryStore({ checkPeriod: 1000 })
  t.is(clock.countTimers(), 1)
  clock.uninstall()
  store.stopInterval()
  t.is(clock.countTimers(), 0)
})

test.serial('stopping an interval after real timers are back stops the faked one', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const store = new MemoryStore({ checkPeriod: 1000 })
  store.set('a', lasting(1))
  clock.uninstall()
  store.stopInterval()
  clock.tick(5000)
  t.is(await store.length(), 1)
})

// ---- the background thread has no clock of its own

for (const dispose of [undefined, () => {}]) {
  const name = dispose ? 'with a dispose' : 'without a dispose'

  test.serial(`what a faked date says is alive outlives any real time, ${name}`, async (t) => {
    const ticks = countTicks(t)
    const clock = fake(t, ['Date'])
    const store = new MemoryStore({ checkPeriod: 1, dispose })
    store.set('a', lasting(5))

    await until(() => ticks.count >= 30)
    t.is(await store.length(), 1)
    t.truthy(await store.get('a'))

    clock.tick(6)
    await until(async () => (await store.length()) === 0)
    store.stopInterval()
    t.pass()
  })
}

test.serial(
  'what a faked date has set expired is pruned although it is alive by the real one',
  async (t) => {
    const clock = fake(t, ['Date', ...TIMERS])
    const { store, disposed } = disposingStore(MemoryStore, { checkPeriod: 1000 })
    store.set('a', lasting(365 * 86_400_000))
    clock.setSystemTime(NOW + 366 * 86_400_000)
    clock.tick(1000)
    await until(() => disposed.length === 1)
    t.is(disposed[0][0], 'a')
    store.stopInterval()
  },
)

test.serial('a prune in the background judges by the date of its tick', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const store = new MemoryStore({ checkPeriod: 1000 })
  for (let i = 0; i < 5000; i++) store.set(`early${i}`, lasting(500))
  for (let i = 0; i < 5000; i++) store.set(`late${i}`, lasting(1500))
  clock.tick(1000)
  await until(() => store.stats().sessions === 5000)
  t.is(await store.get('early0'), undefined)
  clock.setSystemTime(NOW)
  t.truthy(await store.get('late0'))
  store.stopInterval()
})

test.serial('a prune under way spares what is alive by a clock that was set back', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const store = new MemoryStore({ checkPeriod: 1000 })
  for (let i = 0; i < 50_000; i++) store.set(`early${i}`, lasting(500))
  clock.tick(1000)
  clock.setSystemTime(NOW)
  await store.set('late', lasting(100))
  const { sessions } = store.stats()
  await until(() => store.stats().prunes === 1)
  t.is(store.stats().sessions, sessions)
  t.truthy(await store.get('late'))
  store.stopInterval()
})

test.serial('dispose after a prune in the background needs no faked time to pass', async (t) => {
  const clock = fake(t, ['Date', 'setImmediate', ...TIMERS])
  const { store, disposed } = disposingStore(MemoryStore, { checkPeriod: 1000 })
  store.set('a', lasting(500))
  clock.tick(1000)
  await until(() => disposed.length === 1)
  t.is(disposed[0][0], 'a')
  store.stopInterval()
})

// ---- results

test.serial('results come although all timers are faked', async (t) => {
  const clock = fake(t, ['Date', 'setImmediate', 'clearImmediate', 'nextTick', ...TIMERS])
  const store = new MemoryStore()
  store.set('a', lasting(100))
  const byPromise = await store.get('a')
  const byCallback = await new Promise((resolve) => store.get('a', (_err, found) => resolve(found)))
  clock.uninstall()
  t.deepEqual(byPromise, lasting(100))
  t.deepEqual(byCallback, lasting(100))
})

// ---- long periods

for (const checkPeriod of [MAX_DELAY + 1, 1e12]) {
  test.serial(`a checkPeriod of ${checkPeriod} does not fire early`, async (t) => {
    const store = new MemoryStore({ checkPeriod })
    store.set('a', lasting(1))
    await realTicks()
    t.is(await store.length(), 1)
    store.stopInterval()
  })

  test.serial(`a checkPeriod of ${checkPeriod} fires when it has passed`, async (t) => {
    const clock = fake(t, ['Date', ...TIMERS])
    const store = new MemoryStore({ checkPeriod })
    store.set('a', lasting(1))
    for (const period of [1, 2]) {
      store.set('a', lasting(1))
      // Such a period is made of shorter ones, whose rounding may shorten it by a little.
      clock.tick(checkPeriod - 1000)
      t.is(await store.length(), 1, `period ${period}`)
      clock.tick(1000)
      t.is(await store.length(), 0, `period ${period}`)
    }
    store.stopInterval()
  })
}

test.serial('a checkPeriod of 2^31 - 1 fires when it has passed', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const store = new MemoryStore({ checkPeriod: MAX_DELAY })
  store.set('a', lasting(1))
  clock.tick(MAX_DELAY - 1)
  t.is(await store.length(), 1)
  clock.tick(1)
  t.is(await store.length(), 0)
  store.stopInterval()
})

test.serial('a checkPeriod of Number.MAX_VALUE is never', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const store = new MemoryStore({ checkPeriod: Number.MAX_VALUE })
  store.set('a', lasting(1))
  clock.tick(1e13)
  t.is(await store.length(), 1)
  store.stopInterval()
})

test.serial('a checkPeriod is floored', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const floored = new MemoryStore({ checkPeriod: 10.9 })
  floored.set('a', lasting(1))
  clock.tick(10)
  t.is(await floored.length(), 0)
  floored.stopInterval()
})
