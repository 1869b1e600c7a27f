'use strict'

// Why a session has left the store: the last argument of `dispose`. When it is called, and what
// happens if it throws, is in drop-in.spec.js and differences.spec.js.

const test = require('ava')
const { MemoryStore, until } = require('./helpers/stores.js')

const MINUTE = 60_000

/** More than a call removes itself. */
const MANY = 3000

/** Alive for a minute, and over. */
const alive = (n, more) => ({ n, cookie: { maxAge: MINUTE }, ...more })
const over = (n, more) => ({ n, cookie: { maxAge: -1 }, ...more })

/** A store that lists what it disposes of: the sid, the body's `n`, and why. */
function open(t, options = {}) {
  const ends = []
  const dispose = (sid, body, reason) => ends.push([sid, JSON.parse(body).n, reason])
  const store = new MemoryStore({ ...options, dispose })
  t.teardown(() => store.close())
  return { store, ends }
}

/** The reasons of what has left a store that had `MANY` sessions, and how many distinct sids. */
const summary = (ends) => [
  [...new Set(ends.map(([, , reason]) => reason))],
  new Set(ends.map(([sid]) => sid)).size,
  ends.length,
]

const fill = async (store, session) => {
  for (let n = 0; n < MANY; n++) await store.set(`sid-${n}`, session(n))
}

for (const [how, call] of Object.entries({
  get: (store) => store.get('a'),
  touch: (store) => store.touch('a', alive()),
  all: (store) => store.all(),
  prune: (store) => store.prune(),
})) {
  test(`what ${how} finds expired has expired`, async (t) => {
    const { store, ends } = open(t)
    await store.set('a', over(1))
    await store.set('b', alive(2))
    await call(store)
    await call(store)
    t.deepEqual(ends, [['a', 1, 'expired']])
  })
}

test('what is written over by a session that has expired is replaced, and that expires', async (t) => {
  const { store, ends } = open(t)
  await store.set('a', alive(1))
  await store.set('a', over(2))
  t.deepEqual(ends, [
    ['a', 1, 'replaced'],
    ['a', 2, 'expired'],
  ])
})

test('what the background thread prunes has expired', async (t) => {
  const { store, ends } = open(t)
  await fill(store, over)
  await store.set('b', alive())
  await store.prune()
  t.deepEqual(summary(ends), [['expired'], MANY, MANY])
})

test('what the timer prunes has expired', async (t) => {
  const { store, ends } = open(t, { checkPeriod: 1 })
  await store.set('a', over(1))
  await until(() => ends.length > 0)
  t.deepEqual(ends, [['a', 1, 'expired']])
})

test('what makes room for others is evicted', async (t) => {
  const { store, ends } = open(t, { max: 2 })
  for (const [n, sid] of ['a', 'b', 'c'].entries()) await store.set(sid, alive(n))
  t.deepEqual(ends, [['a', 0, 'evicted']])
})

test('what maxBytes has no room for is evicted', async (t) => {
  const { store, ends } = open(t, { maxBytes: 10_000 })
  const padding = 'x'.repeat(3000)
  for (const [n, sid] of ['a', 'b', 'c', 'd'].entries()) await store.set(sid, alive(n, { padding }))
  t.deepEqual(ends[0], ['a', 0, 'evicted'])
  t.deepEqual(summary(ends), [['evicted'], ends.length, 4 - (await store.length())])
})

test('what a single large session drives out in steps is evicted', async (t) => {
  const { store, ends } = open(t, { maxBytes: 2 ** 19 })
  for (let n = 0; n < 2000; n++) await store.set(`sid-${n}`, alive(n))
  const before = ends.length
  await store.set('large', alive(-1, { padding: 'x'.repeat(300_000) }))
  // More than a call evicts itself: the background thread has gone on.
  await until(async () => ends.length - before > 300)
  await until(async () => ends.length + (await store.length()) === 2001)
  t.deepEqual(summary(ends), [['evicted'], ends.length, ends.length])
})

test('where nothing fits, what is set is evicted', async (t) => {
  const { store, ends } = open(t, { max: 0.5 })
  await store.set('a', alive(1))
  t.deepEqual(ends, [['a', 1, 'evicted']])
})

test('what is destroyed by its sid is destroyed', async (t) => {
  const { store, ends } = open(t)
  for (const [n, sid] of ['a', 'b', 'c'].entries()) await store.set(sid, alive(n))
  await store.destroy(['c', 'a', 'none'])
  await store.destroy('a')
  t.deepEqual(ends.sort(), [
    ['a', 0, 'destroyed'],
    ['c', 2, 'destroyed'],
  ])
})

test('what an overwrite or a touch takes the place of is replaced', async (t) => {
  const { store, ends } = open(t)
  await store.set('a', alive(1))
  await store.set('a', alive(2))
  await store.touch('a', { cookie: { maxAge: 2 * MINUTE } })
  t.deepEqual(ends, [
    ['a', 1, 'replaced'],
    ['a', 2, 'replaced'],
  ])
})

test('what a merge takes the place of is replaced', async (t) => {
  const { store, ends } = open(t)
  await store.set('a', alive(1))
  const read = async () => store.createSession({ sessionID: 'a' }, await store.get('a'))
  const [one, other] = [await read(), await read()]
  await store.set('a', Object.assign(one, { n: 2 }))
  await store.set('a', Object.assign(other, { more: true }))
  t.deepEqual(ends, [
    ['a', 1, 'replaced'],
    ['a', 2, 'replaced'],
  ])
})

test('with noDisposeOnSet, what is replaced is not disposed of, and all else is', async (t) => {
  const { store, ends } = open(t, { noDisposeOnSet: true })
  await store.set('a', alive(1))
  await store.set('a', alive(2))
  await store.touch('a', { cookie: { maxAge: 2 * MINUTE } })
  await store.destroy('a')
  t.deepEqual(ends, [['a', 2, 'destroyed']])
})

test('what is cleared is cleared', async (t) => {
  const { store, ends } = open(t)
  await store.set('a', alive(1))
  await store.set('b', alive(2))
  await store.clear()
  await store.clear()
  t.deepEqual(ends.sort(), [
    ['a', 1, 'cleared'],
    ['b', 2, 'cleared'],
  ])
})

test('what is cleared in steps is cleared', async (t) => {
  const { store, ends } = open(t)
  await fill(store, alive)
  await store.clear()
  t.deepEqual(summary(ends), [['cleared'], MANY, MANY])
})

test('what is gone because the store closes is closed', async (t) => {
  const { store, ends } = open(t)
  await store.set('a', alive(1))
  await store.close()
  t.deepEqual(ends, [['a', 1, 'closed']])
})

test('very many that are gone because the store closes are closed', async (t) => {
  const { store, ends } = open(t)
  await fill(store, alive)
  await store.close()
  t.deepEqual(summary(ends), [['closed'], MANY, MANY])
})

test('what was cleared before the store closes was cleared', async (t) => {
  const { store, ends } = open(t)
  await fill(store, alive)
  store.clear(() => {})
  await store.set('a', alive(1))
  await store.close()
  const closed = ends.filter(([, , reason]) => reason === 'closed')
  t.deepEqual(closed, [['a', 1, 'closed']])
  const cleared = ends.filter(([, , reason]) => reason === 'cleared')
  t.deepEqual(summary(cleared), [['cleared'], MANY, MANY])
  t.is(ends.length, MANY + 1)
})

test('of the stores of a name, the last one that closes tells that what is left is closed', async (t) => {
  const { store, ends } = open(t, { name: 'dispose.spec' })
  const { store: last, ends: endsOfLast } = open(t, { name: 'dispose.spec' })
  await store.set('a', alive(1))
  await store.close()
  t.deepEqual(ends, [])
  await last.close()
  t.deepEqual([ends, endsOfLast], [[], [['a', 1, 'closed']]])
})

for (const [way, user] of Object.entries({ path: 'user', function: (session) => session.user })) {
  const of = (name, n) => alive(n, { user: name })

  test(`destroyUser destroys, also all but one or only one; the user is a ${way}`, async (t) => {
    const { store, ends } = open(t, { user })
    for (let n = 0; n < 4; n++) await store.set(`ann-${n}`, of('ann', n))
    await store.set('bob', of('bob', 9))
    const { id } = await store.info('ann-1')
    await store.destroyUser('ann', { only: id })
    t.deepEqual(ends.splice(0), [['ann-1', 1, 'destroyed']])
    await store.destroyUser('ann', { except: 'ann-0' })
    t.deepEqual(ends.splice(0).sort(), [
      ['ann-2', 2, 'destroyed'],
      ['ann-3', 3, 'destroyed'],
    ])
    await store.destroyUser('ann')
    t.deepEqual(ends, [['ann-0', 0, 'destroyed']])
  })

  test(`what makes room for another session of its user is over the limit; the user is a ${way}`, async (t) => {
    const { store, ends } = open(t, { user, maxPerUser: 2 })
    await store.set('bob', of('bob', 9))
    for (let n = 0; n < 2; n++) await store.set(`ann-${n}`, of('ann', n))
    t.deepEqual(ends, [])
    await store.set('ann-2', of('ann', 2))
    t.deepEqual(ends.splice(0).length, 1)
    await store.set('bob', of('ann', 9))
    const reasons = ends.map(([sid, , reason]) => [sid === 'bob', reason])
    t.deepEqual(reasons.sort(), [
      [false, 'limit'],
      [true, 'replaced'],
    ])
    t.is((await store.sessionsOf('ann')).length, 2)
  })

  test(`what is refused ends nothing; the user is a ${way}`, async (t) => {
    const { store, ends } = open(t, { user, maxPerUser: 1, whenFull: 'refuse' })
    await store.set('a', of('ann', 1))
    await t.throwsAsync(store.set('b', of('ann', 2)), { code: 'ERR_MEMORYSTORE_USER_FULL' })
    t.deepEqual(ends, [])
  })
}
