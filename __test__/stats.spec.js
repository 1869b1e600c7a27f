'use strict'

// The figures of `store.stats()`, and the metrics that they become in prom-client.

const test = require('ava')
const client = require('prom-client')

const { collectStoreMetrics } = require('../prometheus.js')
const { addSessions, createStore, turns } = require('./helpers/large')
const { succeed } = require('./helpers/process')
const { MemoryStore, until } = require('./helpers/stores')

const noop = () => {}

/** What the figures of a new store are. */
const ZERO = {
  sessions: 0,
  bytes: 0,
  hits: 0,
  misses: 0,
  sets: 0,
  merges: 0,
  refusedWrites: 0,
  touches: 0,
  evictionsByCount: 0,
  evictionsByBytes: 0,
  expirations: 0,
  prunes: 0,
  lastPruneMs: 0,
}

/** Asserts that `act` changes the figures as `expected` says; all but bytes and time are compared. */
async function assertChanges(t, store, act, expected) {
  const before = store.stats()
  await act()
  const after = store.stats()
  const changes = {}
  for (const name of Object.keys(ZERO)) {
    if (name === 'bytes' || name === 'lastPruneMs') continue
    if (after[name] !== before[name]) changes[name] = after[name] - before[name]
  }
  t.deepEqual(changes, expected)
}

/** The store, when what was set before is there. */
async function stored(store) {
  await store.length()
  return store
}

/** Options for a registry of the test's own. */
const isolated = (options) => ({ client, register: new client.Registry(), ...options })

/** The values of a metric, with their labels as the key. */
async function valuesOf(register, name) {
  const metric = register.getSingleMetric(name)
  const { values } = await metric.get()
  return Object.fromEntries(values.map(({ labels, value }) => [JSON.stringify(labels), value]))
}

test('a new store has figures of 0', (t) => {
  t.deepEqual(new MemoryStore().stats(), ZERO)
})

test('sessions counts what is stored, and what expired until it is removed', async (t) => {
  const store = createStore(MemoryStore)
  addSessions(store, 3)
  addSessions(store, 2, { prefix: 'expired-', expired: true })
  t.is(store.stats().sessions, 5)
  t.is(store.stats().sessions, await store.length())
  await store.destroy('sid-0')
  t.is(store.stats().sessions, 4)
  await store.prune()
  t.is(store.stats().sessions, 2)
  await store.clear()
  t.is(store.stats().sessions, 0)
})

test('bytes counts sids, bodies and overhead', (t) => {
  const store = new MemoryStore()
  store.set('s'.repeat(1000), { text: 'x'.repeat(4000) }, noop)
  const { bytes } = store.stats()
  t.true(bytes > 5000 && bytes < 6000, String(bytes))
  store.set('other', {}, noop)
  t.true(store.stats().bytes > bytes)
  store.clear(noop)
  t.is(store.stats().bytes, 0)
})

test('hits and misses count the calls of get, and of nothing else', async (t) => {
  const store = createStore(MemoryStore)
  addSessions(store, 2)
  addSessions(store, 1, { prefix: 'expired-', expired: true })
  await assertChanges(t, store, () => store.get('sid-0'), { hits: 1 })
  await assertChanges(t, store, () => store.get('missing'), { misses: 1 })
  await assertChanges(t, store, () => store.get('expired-0'), {
    misses: 1,
    expirations: 1,
    sessions: -1,
  })
  const others = () =>
    Promise.all([store.ids(), store.all(), store.length(), store.destroy('missing'), store.prune()])
  await assertChanges(t, store, others, { prunes: 1 })
  t.is(typeof store.get('sid-0', noop), 'undefined')
  t.is(store.stats().hits, 2)
})

test('an expired session that stale lets get read is a hit and an expiration', async (t) => {
  const store = addSessions(createStore(MemoryStore, { stale: true }), 1, { expired: true })
  const changes = { hits: 1, expirations: 1, sessions: -1 }
  await assertChanges(t, store, () => store.get('sid-0'), changes)
})

test('sets counts what was written by set', async (t) => {
  const store = new MemoryStore({ maxBytes: 2000 })
  await assertChanges(t, store, () => store.set('a', {}), { sets: 1, sessions: 1 })
  await assertChanges(t, store, () => store.set('a', { b: 1 }), { sets: 1 })
  const refused = [{ b: 1n }, { text: 'x'.repeat(3000) }]
  for (const session of refused) {
    await assertChanges(t, store, () => store.set('a', session).catch(noop), {})
  }
  await assertChanges(t, store, () => store.set({}, {}).catch(noop), {})
})

test('touches counts what was renewed by touch, whichever way it was', async (t) => {
  const serializer = { stringify: (session) => JSON.stringify(session), parse: JSON.parse }
  for (const options of [{}, { dispose: noop }, { serializer }]) {
    const store = createStore(MemoryStore, options)
    addSessions(store, 1)
    addSessions(store, 1, { prefix: 'expired-', expired: true })
    const touch = (sid) => () => store.touch(sid, { cookie: { path: '/' } })
    await assertChanges(t, store, touch('sid-0'), { touches: 1 })
    await assertChanges(t, store, touch('missing'), {})
    await assertChanges(t, store, touch('expired-0'), { expirations: 1, sessions: -1 })
  }
})

test('evictions are counted by what made them necessary', async (t) => {
  const byCount = new MemoryStore({ max: 2 })
  addSessions(byCount, 2)
  await assertChanges(t, byCount, () => byCount.set('a', {}), { sets: 1, evictionsByCount: 1 })

  const byBytes = new MemoryStore({ maxBytes: 2000 })
  await byBytes.set('a', { text: 'x'.repeat(1000) })
  const set = () => byBytes.set('b', { text: 'x'.repeat(1000) })
  await assertChanges(t, byBytes, set, { sets: 1, evictionsByBytes: 1 })
})

test('expirations counts what was removed because it had expired, whoever came across it', async (t) => {
  for (const method of ['all', 'prune', 'get', 'touch']) {
    const store = addSessions(createStore(MemoryStore), 1, { expired: true })
    await store[method](...(method === 'get' || method === 'touch' ? ['sid-0', {}] : []))
    t.is(store.stats().expirations, 1, method)
  }
  const store = addSessions(createStore(MemoryStore), 1, { expired: true })
  for await (const entry of store.entries()) t.fail(entry[0])
  t.is(store.stats().expirations, 1)

  const destroyed = addSessions(createStore(MemoryStore), 2, { expired: true })
  await destroyed.destroy('sid-0')
  await destroyed.clear()
  t.is(destroyed.stats().expirations, 0)
})

test('prunes counts those that were done, by hand and by checkPeriod', async (t) => {
  const store = createStore(MemoryStore, { checkPeriod: 1 })
  addSessions(store, 1)
  await until(() => store.stats().prunes > 2)
  store.stopInterval()
  addSessions(store, 10, { prefix: 'expired-', expired: true })
  const changes = { prunes: 1, expirations: 10, sessions: -10 }
  await assertChanges(t, store, () => store.prune(), changes)
  await assertChanges(t, store, () => store.prune(), { prunes: 1 })
})

test('a prune of an empty store counts as well', async (t) => {
  const store = new MemoryStore()
  await assertChanges(t, store, () => store.prune(), { prunes: 1 })
})

test('lastPruneMs is how long the last prune took, until the background thread was done', async (t) => {
  const store = addSessions(createStore(MemoryStore), 100_000, { expired: true })
  const began = performance.now()
  await store.prune()
  const took = performance.now() - began
  const { lastPruneMs } = store.stats()
  // A hundred thousand sessions cannot be removed in less than a millisecond.
  t.true(lastPruneMs > 1 && lastPruneMs <= took, `${lastPruneMs} of ${took}`)

  addSessions(store, 1)
  // Any one may have waited for the processor.
  await until(async () => {
    await store.prune()
    return store.stats().lastPruneMs < lastPruneMs
  })
})

test('a store with dispose has the same figures', async (t) => {
  const disposed = []
  const store = createStore(MemoryStore, { dispose: (sid) => disposed.push(sid), max: 5 })
  addSessions(store, 4)
  addSessions(store, 3, { prefix: 'expired-', expired: true })
  await store.prune()
  const { sessions, expirations, evictionsByCount, prunes } = store.stats()
  t.deepEqual(
    { sessions, expirations, evictionsByCount, prunes },
    { sessions: 2, expirations: 3, evictionsByCount: 2, prunes: 1 },
  )
  t.is(disposed.length, 5)
})

test('stats of one store are not those of another, and asking changes nothing', (t) => {
  const store = addSessions(createStore(MemoryStore), 3)
  t.deepEqual(new MemoryStore().stats(), ZERO)
  const stats = store.stats()
  t.deepEqual(store.stats(), stats)
  stats.sessions = 99
  t.is(store.stats().sessions, 3)
})

test('stats throws once the store is closed', (t) => {
  const store = new MemoryStore()
  store.close(noop)
  t.throws(() => store.stats(), { code: 'ERR_MEMORYSTORE_CLOSED' })
})

test('every figure is a metric of prom-client', async (t) => {
  const options = isolated()
  const store = createStore(MemoryStore, { max: 5 })
  collectStoreMetrics(store, options)
  addSessions(store, 4)
  addSessions(store, 2, { prefix: 'expired-', expired: true })
  await Promise.all([store.get('sid-3'), store.get('sid-2'), store.get('sid-0')])
  await store.touch('sid-1', { cookie: {} })
  await store.prune()

  const stats = store.stats()
  const expected = {
    memorystore_sessions: ['gauge', stats.sessions],
    memorystore_bytes: ['gauge', stats.bytes],
    memorystore_hits_total: ['counter', 2],
    memorystore_merges_total: ['counter', 0],
    memorystore_refused_writes_total: ['counter', 0],
    memorystore_misses_total: ['counter', 1],
    memorystore_sets_total: ['counter', 6],
    memorystore_touches_total: ['counter', 1],
    memorystore_evictions_by_count_total: ['counter', 1],
    memorystore_evictions_by_bytes_total: ['counter', 0],
    memorystore_expirations_total: ['counter', 2],
    memorystore_prunes_total: ['counter', 1],
    memorystore_last_prune_seconds: ['gauge', stats.lastPruneMs / 1000],
  }
  const metrics = await options.register.getMetricsAsJSON()
  t.deepEqual(
    Object.fromEntries(metrics.map(({ name, type, values }) => [name, [type, values[0].value]])),
    expected,
  )
  const text = await options.register.metrics()
  t.regex(text, /^# HELP memorystore_sessions \S/m)
  t.regex(text, /^memorystore_sets_total 6$/m)
})

test('the metrics are read anew whenever they are collected', async (t) => {
  const options = isolated()
  const store = new MemoryStore()
  collectStoreMetrics(store, options)
  for (const count of [1, 2, 3]) {
    await store.set(`sid-${count}`, {})
    t.deepEqual(await valuesOf(options.register, 'memorystore_sets_total'), { '{}': count })
  }
  t.deepEqual(await valuesOf(options.register, 'memorystore_sessions'), { '{}': 3 })
})

test('the registry is client.register and the prefix memorystore_ where nothing else is given', async (t) => {
  const store = await stored(addSessions(createStore(MemoryStore), 7))
  const remove = collectStoreMetrics(store, { client })
  t.deepEqual(await valuesOf(client.register, 'memorystore_sets_total'), { '{}': 7 })
  remove()
  client.register.clear()
})

test('a registry and a prefix can be chosen', async (t) => {
  const options = isolated({ prefix: 'app_sessions_' })
  collectStoreMetrics(await stored(addSessions(createStore(MemoryStore), 2)), options)
  const names = (await options.register.getMetricsAsJSON()).map(({ name }) => name)
  t.is(names.length, 13)
  t.true(names.every((name) => name.startsWith('app_sessions_')))

  const other = await stored(addSessions(createStore(MemoryStore), 3))
  collectStoreMetrics(other, { ...options, prefix: 'other_' })
  t.deepEqual(await valuesOf(options.register, 'app_sessions_sets_total'), { '{}': 2 })
  t.deepEqual(await valuesOf(options.register, 'other_sets_total'), { '{}': 3 })
})

test('several stores are told apart by their labels, until they are closed or taken out', async (t) => {
  const options = isolated()
  const stores = ['a', 'b', 'c'].map((name, i) => {
    const store = addSessions(createStore(MemoryStore), i + 1)
    const remove = collectStoreMetrics(store, { ...options, labels: { store: name } })
    return { store, remove }
  })
  await Promise.all(stores.map(({ store }) => stored(store)))
  const values = () => valuesOf(options.register, 'memorystore_sets_total')
  t.deepEqual(await values(), { '{"store":"a"}': 1, '{"store":"b"}': 2, '{"store":"c"}': 3 })
  stores[0].store.close(noop)
  t.deepEqual(await values(), { '{"store":"b"}': 2, '{"store":"c"}': 3 })
  stores[1].remove()
  t.deepEqual(await values(), { '{"store":"c"}': 3 })
  t.is(await stores[1].store.length(), 2, 'the store goes on')
  stores[1].remove()
  t.deepEqual(await values(), { '{"store":"c"}': 3 })

  const next = await stored(addSessions(createStore(MemoryStore), 4))
  collectStoreMetrics(next, { ...options, labels: { store: 'a' } })
  t.deepEqual(await values(), { '{"store":"c"}': 3, '{"store":"a"}': 4 })
})

test('labels may come in any order', async (t) => {
  const options = isolated()
  const store = () => addSessions(createStore(MemoryStore), 1)
  const [one, other] = [store(), store()]
  collectStoreMetrics(one, { ...options, labels: { a: '1', b: '2' } })
  collectStoreMetrics(other, { ...options, labels: { b: '3', a: '4' } })
  const values = await valuesOf(options.register, 'memorystore_sets_total')
  t.is(Object.keys(values).length, 2)
  t.deepEqual(await one.length(), 1)
})

test('a store that was collected drops out, and the metrics do not keep it', async (t) => {
  const result = await succeed(
    t,
    `const client = require('prom-client')
     const MemoryStore = require('.')()
     const { collectStoreMetrics } = require('./prometheus.js')
     const register = new client.Registry()
     collectStoreMetrics(new MemoryStore(), { client, register, labels: { store: 'dropped' } })
     const kept = new MemoryStore()
     collectStoreMetrics(kept, { client, register, labels: { store: 'kept' } })
     const metric = register.getSingleMetric('memorystore_sessions')
     const count = async () => (await metric.get()).values.map(({ labels }) => labels.store)
     ;(async () => {
       const first = await count()
       let last = first
       for (let i = 0; i < 1000 && last.length > 1; i++) {
         await new Promise((resolve) => setImmediate(resolve))
         gc()
         last = await count()
       }
       console.log(JSON.stringify({ first, last }))
       kept.close()
     })()`,
    { args: ['--expose-gc'] },
  )
  t.deepEqual(result, { first: ['dropped', 'kept'], last: ['kept'] })
})

test('after register.clear(), the metrics can be registered again', async (t) => {
  const options = isolated()
  const store = await stored(addSessions(createStore(MemoryStore), 2))
  const removeFirst = collectStoreMetrics(store, options)
  options.register.clear()
  t.deepEqual(await options.register.getMetricsAsJSON(), [])
  // With other labels, too: nothing is left of the former ones.
  const remove = collectStoreMetrics(store, { ...options, labels: { store: 'a' } })
  t.deepEqual(await valuesOf(options.register, 'memorystore_sets_total'), { '{"store":"a"}': 2 })
  removeFirst()
  t.deepEqual(await valuesOf(options.register, 'memorystore_sets_total'), { '{"store":"a"}': 2 })
  remove()
  t.deepEqual(await valuesOf(options.register, 'memorystore_sets_total'), {})
})

test('resetting the metrics does not change what they show', async (t) => {
  const options = isolated()
  const store = await stored(addSessions(createStore(MemoryStore), 2))
  collectStoreMetrics(store, options)
  options.register.resetMetrics()
  t.deepEqual(await valuesOf(options.register, 'memorystore_sets_total'), { '{}': 2 })
})

test('wrong arguments give errors that say what is wrong', (t) => {
  const store = new MemoryStore()
  const isClient = { instanceOf: TypeError, message: /`client` has to be prom-client/ }
  t.throws(() => collectStoreMetrics(store), isClient)
  t.throws(() => collectStoreMetrics(store, {}), isClient)
  t.throws(() => collectStoreMetrics(store, { client: {} }), isClient)
  for (const wrong of [undefined, null, {}, 'store']) {
    t.throws(() => collectStoreMetrics(wrong, isolated()), {
      instanceOf: TypeError,
      message: /takes a MemoryStore/,
    })
  }

  const options = isolated()
  collectStoreMetrics(store, { ...options, labels: { store: 'a' } })
  for (const labels of [undefined, {}, { other: 'a' }, { store: 'a', other: 'b' }]) {
    t.throws(() => collectStoreMetrics(store, { ...options, labels }), {
      instanceOf: TypeError,
      message: /other label names \(store\)/,
    })
  }
})

test('a wrong registry, labels that are none, and options that are null are named', (t) => {
  const store = new MemoryStore()
  const named = (message) => ({ instanceOf: TypeError, message })
  for (const register of [null, {}, 'default']) {
    t.throws(
      () => collectStoreMetrics(store, { client, register }),
      named(/memorystore-rs.*`register`/),
    )
  }
  t.throws(
    () => collectStoreMetrics(store, isolated({ labels: null })),
    named(/memorystore-rs.*`labels`/),
  )
  t.throws(() => collectStoreMetrics(store, null), named(/memorystore-rs.*`client`/))
})

test('a collection that meets a closing store shows no error', async (t) => {
  const options = isolated()
  const store = addSessions(createStore(MemoryStore), 1)
  collectStoreMetrics(store, { ...options, labels: { store: 'a' } })
  const text = options.register.metrics()
  store.close(noop)
  await turns(1)
  await t.notThrowsAsync(text)
  t.notRegex(await options.register.metrics(), /store="a"/)
})
