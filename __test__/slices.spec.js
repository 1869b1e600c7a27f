'use strict'

// Operations on many sessions, which are done in slices or by the background thread: that their
// results are right and complete whatever happens meanwhile, that the event loop turns, and that
// closing the store ends them. With them the iterators `keys` and `entries`.

const test = require('ava')

const {
  addSessions,
  collect,
  countTurns,
  createStore,
  onceOnly,
  sids,
  turns,
} = require('./helpers/large')
const { succeed } = require('./helpers/process')
const { MemoryStore, callbackArguments } = require('./helpers/stores')

/** So many that they are not listed at once. */
const MANY = 12_000

/** So many that a prune cannot have ended a few turns after it began. */
const VERY_MANY = 100_000

/** As many as are listed at once. */
const FEW = 2000

const CLOSED = { code: 'ERR_MEMORYSTORE_CLOSED' }

const noop = () => {}

const store = (options) => createStore(MemoryStore, options)
const filled = (count, options) => addSessions(store(options), count)

/** A serializer whose `parse` throws for the session with this `n`. */
function failingAt(n) {
  return {
    stringify: JSON.stringify,
    parse(text) {
      const session = JSON.parse(text)
      if (session.n === n) throw new Error('unreadable')
      return session
    },
  }
}

/**
 * What a call of `list` gives, which returns a list of sids, while in every turn sessions are
 * added, destroyed, touched, read, written again, and destroyed and added anew.
 */
async function listWhileDisturbed(store, list) {
  let isListing = true
  let step = 0
  const disturb = async () => {
    if (!isListing) return
    for (let i = 0; i < 20; i++, step++) {
      store.set(`new-${step}`, {}, noop)
      store.destroy(`destroyed-${step}`, noop)
      store.touch(`kept-${(step * 7) % MANY}`, { cookie: { step } }, noop)
      store.get(`kept-${(step * 11) % MANY}`, noop)
      store.set(`kept-${(step * 13) % MANY}`, { step }, noop)
      store.destroy(`again-${step % 1000}`, noop)
      store.set(`again-${step % 1000}`, { step }, noop)
    }
    // Where a store answers late, the calls must not pile up.
    await store.get('kept-0')
    setImmediate(disturb)
  }
  const listed = list()
  disturb()
  const result = await listed
  isListing = false
  return { result, steps: step }
}

/** A store for `listWhileDisturbed`. */
async function disturbedStore() {
  const disturbed = store()
  addSessions(disturbed, MANY, { prefix: 'kept-' })
  addSessions(disturbed, MANY, { prefix: 'destroyed-' })
  addSessions(disturbed, 1000, { prefix: 'again-' })
  addSessions(disturbed, 100, { prefix: 'gone-' })
  for (let n = 0; n < 100; n++) await disturbed.destroy(`gone-${n}`)
  return disturbed
}

/** That a list has every session that was there all the while, once, and none that never was. */
function assertComplete(t, { result, steps }) {
  t.true(steps > 0, 'something happened meanwhile')
  const found = new Set(result)
  t.is(found.size, result.length, 'none twice')
  const missing = sids(MANY, 'kept-').filter((sid) => !found.has(sid))
  t.deepEqual(missing, [])
  for (let n = steps; n < MANY; n++) {
    if (!found.has(`destroyed-${n}`)) t.fail(`destroyed-${n} was never destroyed, but is missing`)
  }
  t.deepEqual(
    result.filter((sid) => sid.startsWith('gone-')),
    [],
  )
}

test('ids lists every sid of a large store, the most recently used first', async (t) => {
  const large = filled(MANY)
  large.get('sid-5', noop)
  large.touch('sid-7', { cookie: {} }, noop)

  const others = sids(MANY).filter((sid) => sid !== 'sid-5' && sid !== 'sid-7')
  const expected = ['sid-7', 'sid-5', ...others]
  t.deepEqual(await large.ids(), expected)
  t.deepEqual(await onceOnly(large, 'ids'), [null, expected])
})

test('all reads every session of a large store, the most recently used first', async (t) => {
  const large = filled(MANY)
  large.get('sid-5', noop)

  const expected = ['sid-5', ...sids(MANY).filter((sid) => sid !== 'sid-5')]
  const sessions = await large.all()
  t.deepEqual(Object.keys(sessions), expected)
  t.true(expected.every((sid) => `sid-${sessions[sid].n}` === sid))
  t.is(Object.getPrototypeOf(sessions), null)
  const [err, again] = await onceOnly(large, 'all')
  t.is(err, null)
  t.deepEqual(again, sessions)
})

test('the loop turns while a large store is listed', async (t) => {
  const large = filled(MANY)
  t.true((await countTurns(large.ids())) >= 5)
  t.true((await countTurns(large.all())) >= 20)
  t.true((await countTurns(collect(large.keys()))) >= 5)
  t.true((await countTurns(collect(large.entries()))) >= 20)
})

test('prune leaves the work to the background thread', async (t) => {
  // The thread may be done before this one goes on, but hardly so often.
  let left = 0
  for (let attempt = 0; attempt < 20 && left === 0; attempt++) {
    const large = addSessions(store(), VERY_MANY, { expired: true })
    const pruned = large.prune()
    left = large.stats().sessions
    await pruned
    t.is(large.stats().sessions, 0)
  }
  t.true(left > 0)
})

test('ids, all, keys and entries are complete while sessions come, go and are used', async (t) => {
  const lists = {
    ids: (store) => store.ids(),
    all: async (store) => Object.keys(await store.all()),
    keys: (store) => collect(store.keys()),
    entries: async (store) => (await collect(store.entries())).map(([sid]) => sid),
  }
  for (const list of Object.values(lists)) {
    const disturbed = await disturbedStore()
    assertComplete(t, await listWhileDisturbed(disturbed, () => list(disturbed)))
    disturbed.close()
  }
})

test('a small store is listed as it is at the moment of the call', async (t) => {
  const small = filled(FEW)
  const ids = small.ids()
  const all = small.all()
  const length = small.length()
  small.destroy('sid-0', noop)
  small.set('sid-1', { n: 'changed' }, noop)
  small.set('new', {}, noop)

  t.deepEqual(await ids, sids(FEW))
  const sessions = await all
  t.deepEqual(Object.keys(sessions), sids(FEW))
  t.is(sessions['sid-1'].n, 1)
  t.is(await length, FEW)
})

test('prune removes what has expired, and nothing else, and keeps the order', async (t) => {
  const large = store()
  addSessions(large, MANY)
  addSessions(large, MANY, { prefix: 'expired-', expired: true })
  large.get('sid-9', noop)

  t.deepEqual(await onceOnly(large, 'prune'), [null])
  t.is(large.stats().sessions, MANY)
  t.deepEqual(await large.ids(), ['sid-9', ...sids(MANY).filter((sid) => sid !== 'sid-9')])
  t.is(await large.prune(), undefined)
})

test('what is written while a prune is under way stays', async (t) => {
  const large = addSessions(store(), VERY_MANY, { expired: true })
  const pruned = large.prune()
  addSessions(large, 1000)
  large.destroy('sid-0', noop)
  await pruned
  t.deepEqual(await large.ids(), sids(1000).slice(0, -1))
})

test('a prune of a few hundred is done when the call returns', async (t) => {
  const disposed = []
  for (const options of [{}, { dispose: (sid) => disposed.push(sid) }]) {
    const few = addSessions(store(options), 200, { expired: true })
    addSessions(few, 30, { prefix: 'live-' })
    const pruned = few.prune()
    t.is(few.stats().sessions, 30)
    t.is(await few.length(), 30)
    await pruned
  }
  t.deepEqual(disposed, sids(200))
})

test('what a long prune has yet to remove counts, but is never found', async (t) => {
  const large = addSessions(store(), VERY_MANY, { expired: true })
  addSessions(large, 30, { prefix: 'live-' })
  const pruned = large.prune()
  const length = large.length()
  t.is(await large.get('sid-1'), undefined)
  await large.touch(`sid-${VERY_MANY - 1}`, { cookie: {} })
  await pruned
  t.true((await length) >= 30)
  t.deepEqual(await onceOnly(large, 'length'), [null, 30])
  t.is((await large.ids()).length, 30)
})

test('a prune that takes over from another ends both', async (t) => {
  const large = addSessions(store(), VERY_MANY, { expired: true })
  const first = large.prune()
  addSessions(large, 5000, { prefix: 'late-', expired: true })
  const second = large.prune()
  await first
  await second
  t.is(await large.length(), 0)
})

test('with dispose, a long prune and clear hand out in slices and answer at the end', async (t) => {
  for (const method of ['prune', 'clear', 'close']) {
    const disposed = new Set()
    let count = 0
    const dispose = (sid) => {
      count++
      disposed.add(sid)
    }
    const large = addSessions(store({ dispose }), MANY, { expired: method === 'prune' })
    const answered = large[method]()
    t.true(count < MANY / 2, `${method} handed out ${count} at once`)
    await answered
    t.deepEqual([count, disposed.size], [MANY, MANY], method)
  }
})

test('with dispose, clear of a few hands out at once, the most recently used first', (t) => {
  const disposed = []
  const few = addSessions(store({ dispose: (sid) => disposed.push(sid) }), 500)
  few.clear(noop)
  t.deepEqual(disposed, sids(500))
})

test('one session that needs the room of very many lets them go bit by bit', async (t) => {
  const disposed = []
  const budget = 2 ** 20
  const large = store({ maxBytes: budget, dispose: (sid) => disposed.push(sid) })
  addSessions(large, 20_000)
  disposed.length = 0
  const before = await large.length()
  large.set('large', { text: 'a'.repeat(budget * 0.8) }, noop)
  t.true(disposed.length > 100 && disposed.length < before / 2, `${disposed.length}`)
  await large.prune()
  t.true(large.stats().bytes <= budget)
  t.is(await large.length(), before + 1 - disposed.length)
  t.is((await large.ids())[0], 'large')
})

test('after clear, everything is gone at once', async (t) => {
  const large = filled(MANY)
  const cleared = callbackArguments(large, 'clear')
  const length = large.length()
  const ids = large.ids()
  const found = large.get('sid-1')
  large.set('after', { n: 1 }, noop)
  t.deepEqual(await cleared, [null])
  t.is(await length, 0)
  t.deepEqual(await ids, [])
  t.is(await found, undefined)
  t.deepEqual(await large.ids(), ['after'])
  t.deepEqual(await onceOnly(large, 'clear'), [null])
  t.is(await large.length(), 0)
})

test('clear ends a prune that is under way', async (t) => {
  const large = addSessions(store(), VERY_MANY, { expired: true })
  const pruned = large.prune()
  large.clear(noop)
  t.is(await large.length(), 0)
  addSessions(large, 5)
  await pruned
  t.is(await large.length(), 5)
})

test('close in the middle fails ids and all, by callback and by promise', async (t) => {
  for (const method of ['ids', 'all']) {
    const large = filled(MANY)
    const called = onceOnly(large, method)
    const promised = large[method]()
    await turns(2)
    large.close(noop)
    await t.throwsAsync(promised, CLOSED)
    const args = await called
    t.is(args.length, 1)
    t.is(args[0].code, CLOSED.code)
  }
})

test('close in the middle fails keys and entries at the next step', async (t) => {
  for (const method of ['keys', 'entries']) {
    for (const count of [10, MANY]) {
      const closing = filled(count)
      const iterator = closing[method]()
      await iterator.next()
      closing.close(noop)
      await t.throwsAsync(iterator.next(), CLOSED, `${method} of ${count}`)
      t.deepEqual(await iterator.next(), { value: undefined, done: true })
    }
  }
})

test('keys and entries of a store that is closed already fail at the first step', async (t) => {
  for (const method of ['keys', 'entries']) {
    const closed = filled(1)
    const iterator = closed[method]()
    closed.close(noop)
    await t.throwsAsync(iterator.next(), CLOSED)
  }
})

test('close in the middle lets prune and length come to their end', async (t) => {
  const large = addSessions(store(), VERY_MANY, { expired: true })
  const pruned = onceOnly(large, 'prune')
  const length = onceOnly(large, 'length')
  large.close(noop)
  t.deepEqual(await pruned, [null])
  t.is((await length)[0], null)
})

test('an expired session does not show in all and entries, and is disposed of once', async (t) => {
  for (const method of ['all', 'entries']) {
    const disposed = []
    const large = store({ dispose: (sid) => disposed.push(sid) })
    addSessions(large, MANY)
    addSessions(large, 50, { prefix: 'expired-', expired: true })

    const listed =
      method === 'all' ? await large.all() : Object.fromEntries(await collect(large.entries()))
    t.deepEqual(Object.keys(listed), sids(MANY))
    t.deepEqual(disposed, sids(50, 'expired-'))
    t.is(large.stats().sessions, MANY)
    t.is(large.stats().expirations, 50)
  }
})

test('a session that expires while all is under way is in the result at most once', async (t) => {
  const large = filled(MANY)
  addSessions(large, 50, { prefix: 'expiring-' })
  const all = large.all()
  for (let n = 0; n < 50; n++) large.set(`expiring-${n}`, { ttl: -1 }, noop)
  t.deepEqual(Object.keys(await all), sids(MANY))
})

test('with stale, all and entries give an expired session once', async (t) => {
  for (const count of [0, MANY]) {
    const byAll = addSessions(filled(count, { stale: true }), 50, { prefix: 'old-', expired: true })
    const first = Object.keys(await byAll.all())
    t.deepEqual(first, [...sids(50, 'old-'), ...sids(count)])
    t.deepEqual(Object.keys(await byAll.all()), sids(count))

    const byEntries = addSessions(filled(count, { stale: true }), 50, {
      prefix: 'old-',
      expired: true,
    })
    const listed = await collect(byEntries.entries())
    t.deepEqual(
      listed.map(([sid]) => sid),
      [...sids(50, 'old-'), ...sids(count)],
    )
    t.is((await collect(byEntries.entries())).length, count)
  }
})

test('a session that cannot be read fails all, and throws from entries where it comes', async (t) => {
  for (const count of [10, MANY]) {
    const broken = filled(count, { serializer: failingAt(4) })
    const [err, ...rest] = await onceOnly(broken, 'all')
    t.is(err.message, 'unreadable')
    t.deepEqual(rest, [])
    await t.throwsAsync(broken.all(), { message: 'unreadable' })

    const seen = []
    const iterate = async () => {
      for await (const [sid] of broken.entries()) seen.push(sid)
    }
    await t.throwsAsync(iterate(), { message: 'unreadable' })
    t.deepEqual(seen, sids(count).slice(0, -5))
  }
})

test('what dispose throws fails all and is thrown from entries', async (t) => {
  const dispose = () => {
    throw new Error('disposing')
  }
  const large = addSessions(filled(MANY, { dispose }), 2, { prefix: 'expired-', expired: true })
  await t.throwsAsync(collect(large.entries()), { message: 'disposing' })
  await t.throwsAsync(large.all(), { message: 'disposing' })
  t.is(Object.keys(await large.all()).length, MANY)
})

test('what a callback of a large listing throws is an uncaught exception', async (t) => {
  const result = await succeed(
    t,
    `const MemoryStore = require('.')()
     const store = new MemoryStore()
     for (let i = 0; i < ${MANY}; i++) store.set('sid-' + i, {}, () => {})
     process.on('unhandledRejection', () => console.log('"rejection"'))
     process.on('uncaughtException', (err) => console.log(JSON.stringify(err.message)))
     store.ids(() => { throw new Error('mine') })`,
  )
  t.is(result, 'mine')
})

test('the iterators of an empty store give nothing', async (t) => {
  t.deepEqual(await collect(store().keys()), [])
  t.deepEqual(await collect(store().entries()), [])
})

test('the iterators go through all, the most recently used first', async (t) => {
  for (const count of [1, 3, FEW, FEW + 1, MANY]) {
    const full = filled(count)
    t.deepEqual(await collect(full.keys()), sids(count))
    const expected = sids(count).map((sid, i) => [sid, { n: count - 1 - i }])
    t.deepEqual(await collect(full.entries()), expected)
  }
})

test('keys lists what has expired, as ids does', async (t) => {
  const full = addSessions(filled(3), 2, { prefix: 'expired-', expired: true })
  t.deepEqual(await collect(full.keys()), await full.ids())
  t.is(await full.length(), 5)
})

test('iterating can end early, and the store goes on', async (t) => {
  for (const method of ['keys', 'entries']) {
    const large = filled(MANY)
    const seen = []
    for await (const value of large[method]()) {
      seen.push(value)
      if (seen.length === 3) break
    }
    t.is(seen.length, 3)
    t.is((await collect(large[method]())).length, MANY)
    t.is(await large.length(), MANY)
  }
})

test('entries gives a session as it is when it comes, and none that is gone by then', async (t) => {
  const large = filled(MANY)
  const seen = new Map()
  for await (const [sid, session] of large.entries()) {
    if (seen.size === 0) {
      large.set('sid-1', { n: 'changed' }, noop)
      large.destroy('sid-2', noop)
      large.destroy(`sid-${MANY - 2}`, noop)
    }
    seen.set(sid, session.n)
  }
  t.is(seen.get('sid-1'), 'changed')
  t.false(seen.has('sid-2'))
  t.false(seen.has(`sid-${MANY - 2}`))
  t.is(seen.size, MANY - 2)
})

test('sessions can be destroyed while they are iterated over', async (t) => {
  const large = filled(MANY)
  for await (const [sid, session] of large.entries()) if (session.n % 2) large.destroy(sid, noop)
  t.deepEqual(
    await large.ids(),
    sids(MANY).filter((_sid, i) => i % 2 === 1),
  )
})

test('iterating and listing do not change the order of use and count no hits', async (t) => {
  const large = filled(MANY)
  await collect(large.entries())
  await collect(large.keys())
  await large.all()
  await large.ids()
  t.deepEqual(await large.ids(), sids(MANY))
  const { hits, misses } = large.stats()
  t.deepEqual({ hits, misses }, { hits: 0, misses: 0 })
})

test('entries and all read by the custom serializer exactly what it wrote', async (t) => {
  const serializer = {
    stringify: (session) => Buffer.from(`v1:${session.n}`),
    parse(body) {
      if (!Buffer.isBuffer(body)) throw new TypeError('no Buffer')
      return { n: Number(body.toString().slice(3)) }
    },
  }
  for (const count of [3, MANY]) {
    const custom = store({ serializer })
    addSessions(custom, count)
    const expected = sids(count).map((sid, i) => [sid, { n: count - 1 - i }])
    t.deepEqual(await collect(custom.entries()), expected)
    t.deepEqual(Object.entries(await custom.all()), expected)
  }
})

test('odd sids come as they are through the slices', async (t) => {
  const odd = ['__proto__', 'constructor', '', 'ü', '💥', '\ud800', 'a\0b', 'x'.repeat(5000)]
  const large = filled(MANY)
  for (const sid of odd) large.set(sid, { sid }, noop)
  const expected = [...odd].reverse()
  t.deepEqual((await large.ids()).slice(0, odd.length), expected)
  t.deepEqual((await collect(large.keys())).slice(0, odd.length), expected)
  t.deepEqual(
    (await collect(large.entries())).slice(0, odd.length),
    expected.map((sid) => [sid, { sid }]),
  )
  const all = await large.all()
  t.deepEqual(Object.keys(all).slice(0, odd.length), expected)
})

test('several listings and prunes at a time do not disturb each other', async (t) => {
  const large = addSessions(filled(MANY), MANY, { prefix: 'expired-', expired: true })
  const isLive = (sid) => sid.startsWith('sid-')
  const results = await Promise.all([
    large.prune(),
    large.ids().then((ids) => ids.filter(isLive)),
    large.all().then(Object.keys),
    large.prune().then(() => large.length()),
    collect(large.keys()).then((ids) => ids.filter(isLive)),
  ])
  const listed = sids(MANY)
  t.deepEqual(results, [undefined, listed, listed, MANY, listed])
})

test('a result that is still to come keeps the process alive', async (t) => {
  const source = (expression) =>
    `const MemoryStore = require('.')()
     const store = new MemoryStore({ checkPeriod: 1e6, ttl: (o, session) => session.ttl })
     for (let i = 0; i < ${MANY * 2}; i++) store.set('sid-' + i, { ttl: i % 2 ? -1 : 1e9 }, () => {})
     const show = (value) => console.log(JSON.stringify(value))
     // Behind the callbacks of the sets, which would keep the process alive meanwhile.
     setImmediate(() => setImmediate(() => { ${expression} }))`
  const expressions = {
    'store.ids((err, ids) => show(ids.length))': MANY * 2,
    'store.ids().then((ids) => show(ids.length))': MANY * 2,
    'store.all((err, all) => show(Object.keys(all).length))': MANY,
    'store.prune((err) => show(err))': null,
    'store.prune(() => store.length((err, length) => show(length)))': MANY,
    '(async () => { let n = 0; for await (const _ of store.entries()) n++; show(n) })()': MANY,
    '(async () => { let n = 0; for await (const _ of store.keys()) n++; show(n) })()': MANY * 2,
  }
  for (const [expression, expected] of Object.entries(expressions)) {
    t.deepEqual(await succeed(t, source(expression)), expected, expression)
  }
})
