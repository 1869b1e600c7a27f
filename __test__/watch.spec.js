'use strict'

// `watch`: who watches a session hears once that it has ended. That it also hears of ends in other
// processes is in path/, redis/ and backing/.

const { AsyncLocalStorage } = require('node:async_hooks')
// Captured before fake timers are installed.
const { setImmediate } = require('node:timers')
const FakeTimers = require('@sinonjs/fake-timers')
const Cookie = require('express-session/session/cookie')
const test = require('ava')

const { hastily, patiently, running, ticks } = require('./helpers/hastily.js')
const { runScript } = require('./helpers/process.js')
const { MemoryStore, until } = require('./helpers/stores.js')

const MINUTE = 60_000

const turn = () => new Promise((resolve) => setImmediate(resolve))

const newSession = (maxAge = MINUTE) => ({ cookie: new Cookie({ maxAge }) })

/** A store with sessions of these sids. */
async function storeWith(t, sids, options = {}) {
  const store = new MemoryStore(options)
  t.teardown(() => store.close())
  for (const sid of sids) await store.set(sid, newSession())
  return store
}

/**
 * Watches; how often the function was called is in `calls`. The first watch of a store decides how
 * often it asks: by default very often.
 */
function watch(store, sid, way = hastily) {
  const watcher = { calls: 0 }
  watcher.stop = way(() => store.watch(sid, () => watcher.calls++))
  return watcher
}

/** Waits until the timer has asked about all that is watched. */
async function asked(store) {
  const sid = 'probe'
  await store.set(sid, newSession())
  const probe = watch(store, sid)
  const before = ticks()
  await until(() => ticks() > before)
  // Nobody tells the watches of this end.
  await store.set(sid, newSession(-1))
  await until(() => probe.calls === 1)
  await store.destroy(sid)
}

test('a session that is destroyed ends in the next turn, once', async (t) => {
  const store = await storeWith(t, ['a', 'b'])
  const [a, again, b] = ['a', 'a', 'b'].map((sid) => watch(store, sid))
  await turn()
  t.is(a.calls, 0)
  await store.destroy('a')
  await turn()
  t.deepEqual([a.calls, again.calls, b.calls], [1, 1, 0])
  await store.destroy('a')
  await store.clear()
  await until(() => b.calls === 1)
  await asked(store)
  t.deepEqual([a.calls, again.calls, b.calls], [1, 1, 1])
})

test('it does not end before destroy returns', (t) => {
  const store = new MemoryStore()
  const a = watch(store, 'a')
  store.destroy('a', () => {})
  t.is(a.calls, 0)
})

test('all that are destroyed at once end', async (t) => {
  const store = await storeWith(t, ['a', 'b', 'c'])
  const watchers = ['a', 'b', 'c'].map((sid) => watch(store, sid, patiently))
  await store.destroy(['a', 'b'])
  await turn()
  t.deepEqual(
    watchers.map(({ calls }) => calls),
    [1, 1, 0],
  )
})

test('a session that is written again right after it was destroyed has ended', async (t) => {
  const store = await storeWith(t, ['a'])
  const a = watch(store, 'a')
  const done = store.destroy('a')
  await Promise.all([done, store.set('a', { cookie: {} })])
  await until(() => a.calls === 1)
  const next = watch(store, 'a')
  await asked(store)
  t.is(next.calls, 0)
  await store.destroy('a')
  await until(() => next.calls === 1)
  t.is(a.calls, 1)
})

test('clear ends all at once, very many too', async (t) => {
  const sids = Array.from({ length: 1000 }, (_, i) => `sid-${i}`)
  const store = await storeWith(t, sids)
  const watchers = sids.map((sid) => watch(store, sid, patiently))
  await turn()
  await store.clear()
  await until(() => watchers.every(({ calls }) => calls === 1))
  for (let n = 0; n < 10; n++) await turn()
  t.true(watchers.every(({ calls }) => calls === 1))
})

test('what is no session has ended at once', async (t) => {
  const store = await storeWith(t, [])
  const a = watch(store, 'a', patiently)
  t.is(a.calls, 0, 'not before watch returns')
  await until(() => a.calls === 1)
})

test('among very many sessions that are watched, those end that have ended', async (t) => {
  const sids = Array.from({ length: 1000 }, (_, i) => `sid-${i}`)
  const store = await storeWith(
    t,
    sids.filter((_, i) => i % 3 > 0),
  )
  const watchers = sids.map((sid) => watch(store, sid))
  await until(() => watchers.every(({ calls }, i) => i % 3 > 0 || calls === 1))
  await asked(store)
  t.true(watchers.every(({ calls }, i) => calls === (i % 3 > 0 ? 0 : 1)))
})

test.serial('a session ends when it has expired, though nothing has removed it', async (t) => {
  const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  const store = await storeWith(t, ['a'])
  const a = watch(store, 'a')
  clock.tick(MINUTE / 2)
  await asked(store)
  t.is(a.calls, 0)
  clock.tick(MINUTE / 2 + 1)
  await until(() => a.calls === 1)
})

test.serial('watching removes nothing that has expired', async (t) => {
  const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  const store = await storeWith(t, ['a'], { stale: true })
  const a = watch(store, 'a')
  clock.tick(MINUTE + 1)
  await until(() => a.calls === 1)
  t.is(await store.length(), 1)
  t.not(await store.get('a'), undefined, 'it is given once more')
})

test('a session ends when it is evicted', async (t) => {
  const store = await storeWith(t, ['a', 'b'], { max: 2 })
  const [a, b] = ['a', 'b'].map((sid) => watch(store, sid))
  await turn()
  await store.set('c', newSession(2 * MINUTE))
  await until(() => a.calls === 1)
  t.is(b.calls, 0)
})

test('watching is no use', async (t) => {
  const store = await storeWith(t, ['a', 'b', 'c'])
  watch(store, 'a')
  await asked(store)
  t.deepEqual(await store.ids(), ['c', 'b', 'a'])
  const { hits, misses } = store.stats()
  t.deepEqual([hits, misses], [0, 0])
})

test('a session that is touched and set goes on', async (t) => {
  const store = await storeWith(t, ['a'])
  const a = watch(store, 'a')
  await store.touch('a', newSession())
  await store.set('a', newSession())
  await store.get('a')
  await asked(store)
  t.is(a.calls, 0)
})

test('nothing is called after stop', async (t) => {
  const store = await storeWith(t, ['a'])
  const [a, early, late] = ['a', 'a', 'a'].map((sid) => watch(store, sid))
  early.stop()
  store.destroy('a', () => late.stop())
  late.stop()
  await until(() => a.calls === 1)
  await asked(store)
  t.deepEqual([early.calls, late.calls], [0, 0])
  for (const { stop } of [a, early, late]) stop()
})

test('nothing is called after close', async (t) => {
  const store = await storeWith(t, ['a', 'b'])
  const [a, b, none] = ['a', 'b', 'none'].map((sid) => watch(store, sid))
  const destroyed = store.destroy('a')
  const closed = store.close()
  await Promise.all([destroyed, closed])
  for (let n = 0; n < 10; n++) await turn()
  t.deepEqual([a.calls, b.calls, none.calls], [0, 0, 0])
  t.throws(() => store.watch('a', () => {}), { code: 'ERR_MEMORYSTORE_CLOSED' })
  a.stop()
})

test.serial('there is a timer only while something is watched', async (t) => {
  const store = await storeWith(t, ['a', 'b'])
  const before = running()
  const [a, b] = ['a', 'b'].map((sid) => watch(store, sid))
  t.is(running(), before + 1)
  a.stop()
  t.is(running(), before + 1)
  b.stop()
  b.stop()
  t.is(running(), before)
  watch(store, 'a')
  t.is(running(), before + 1)
  await store.destroy('a')
  t.is(running(), before)
  watch(store, 'b')
  t.is(running(), before + 1)
  await store.close()
  t.is(running(), before)
})

test('a sid may be what is converted to text', async (t) => {
  const store = await storeWith(t, ['1'])
  const a = watch(store, 1)
  await asked(store)
  t.is(a.calls, 0)
  await store.destroy('1')
  await until(() => a.calls === 1)
})

test('wrong arguments are TypeErrors', (t) => {
  const store = new MemoryStore()
  for (const sid of [undefined, null, {}, ['a'], Symbol('a')]) {
    const error = t.throws(() => store.watch(sid, () => {}), { instanceOf: TypeError })
    t.is(error.code, 'ERR_INVALID_ARG_TYPE')
  }
  for (const fn of [undefined, null, {}, 'fn']) {
    const error = t.throws(() => store.watch('a', fn), { instanceOf: TypeError })
    t.is(error.code, 'ERR_INVALID_ARG_TYPE')
    t.regex(error.message, /watch\(\).*function$/)
  }
})

test('a function is called in the context of its watch', async (t) => {
  const store = await storeWith(t, ['a', 'b'])
  const storage = new AsyncLocalStorage()
  const contexts = []
  for (const sid of ['a', 'b']) {
    storage.run(sid, () => store.watch(sid, () => contexts.push(storage.getStore())))
  }
  await storage.run('other', () => store.clear())
  await until(() => contexts.length === 2)
  t.deepEqual(contexts.sort(), ['a', 'b'])
})

test('what a function throws is an uncaught exception, and the others are called', async (t) => {
  const { stdout, code } = await runScript(`
    const store = new (require('.')())()
    process.on('uncaughtException', (err) => console.log(err.message))
    for (let n = 0; n < 3; n++) {
      store.watch('a', () => {
        throw new Error('thrown ' + n)
      })
    }
    store.watch('b', () => console.log('called'))
  `)
  t.is(code, 0)
  t.deepEqual(stdout.trim().split('\n'), ['thrown 0', 'thrown 1', 'thrown 2', 'called'])
})
