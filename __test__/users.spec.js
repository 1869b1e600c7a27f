'use strict'

// The sessions of a user: listed, ended, limited, and what is known of one session.

const test = require('ava')
const { createHash } = require('node:crypto')
const FakeTimers = require('@sinonjs/fake-timers')
const {
  MemoryStore,
  callbackArguments,
  disposingStore,
  watchWarnings,
} = require('./helpers/stores')

const TEXTS = { stringify: (value) => JSON.stringify(value), parse: JSON.parse }

/** The ways in which the owner is found. */
const WAYS = {
  'by a path': { user: 'passport.user' },
  'by a function': { user: (session) => session.passport?.user },
  'with a serializer': { user: 'passport.user', serializer: TEXTS },
}

const of = (user, more) => ({ cookie: {}, passport: { user }, ...more })

const handleOf = (sid) => createHash('sha256').update(sid).digest().toString('base64url', 0, 16)

/** The handles of the user's sessions, sorted. */
async function handles(store, user) {
  return (await store.sessionsOf(user)).map(({ id }) => id).sort()
}

const handlesOf = (...sids) => sids.map(handleOf).sort()

/** Writes `session` as a request does that has read what `read` gave. */
function request(store, sid, read) {
  const req = { sessionID: sid, sessionStore: store }
  const session = store.createSession(req, read)
  return session
}

for (const [way, options] of Object.entries(WAYS)) {
  test.serial(`a user's sessions are listed, the one used last first; ${way}`, async (t) => {
    const clock = FakeTimers.install({ now: 1e12, toFake: ['Date'] })
    t.teardown(() => clock.uninstall())
    const store = new MemoryStore({ ttl: 5000, ...options })
    await store.set('a', of('ann', { n: 1 }))
    clock.tick(10)
    await store.set('b', of('ann', { n: 2 }))
    await store.set('c', of('bob'))
    await store.set('d', { cookie: {} })
    clock.tick(10)
    await store.touch('a', { cookie: {} })

    const [first, second, ...others] = await store.sessionsOf('ann', { current: 'b' })
    t.deepEqual(others, [])
    const bytes = first.bytes
    t.true(bytes > 100 && bytes < 1000)
    t.deepEqual(first, {
      id: handleOf('a'),
      created: new Date(1e12),
      used: new Date(1e12 + 20),
      expires: new Date(1e12 + 5020),
      bytes,
      current: false,
      session: of('ann', { n: 1 }),
    })
    t.is(second.id, handleOf('b'))
    t.true(second.current)
    t.deepEqual(await store.sessionsOf('nobody'), [])
    t.false(JSON.stringify(first).includes('"a"'))

    clock.tick(4991)
    t.deepEqual(await handles(store, 'ann'), handlesOf('a'), 'the other has expired')
  })

  test(`a session follows its user; ${way}`, async (t) => {
    const store = new MemoryStore(options)
    await store.set('a', { cookie: {} })
    t.deepEqual(await handles(store, 'ann'), [])
    await store.set('a', of('ann'))
    t.deepEqual(await handles(store, 'ann'), handlesOf('a'))
    await store.set('a', of('bob'))
    t.deepEqual(await handles(store, 'ann'), [])
    t.deepEqual(await handles(store, 'bob'), handlesOf('a'))
    await store.touch('a', { cookie: { path: '/other' } })
    t.deepEqual(await handles(store, 'bob'), handlesOf('a'))
    await store.set('a', { cookie: {} })
    t.deepEqual(await handles(store, 'bob'), [])
    await store.set('a', of('bob'))
    await store.destroy('a')
    t.deepEqual(await handles(store, 'bob'), [])
  })

  for (const conflict of ['merge', 'overwrite', (_base, _theirs, mine) => mine]) {
    const name = typeof conflict === 'function' ? 'a function' : conflict
    test(`the owner is that of what is stored after a conflict: ${name}; ${way}`, async (t) => {
      const store = new MemoryStore({ conflict, ...options })
      await store.set('a', { cookie: {}, n: 0 })
      const [one, other] = await Promise.all([store.get('a'), store.get('a')])
      const [login, slow] = [request(store, 'a', one), request(store, 'a', other)]
      login.passport = { user: 'ann' }
      await store.set('a', login)
      slow.n = 1
      await store.set('a', slow)
      const stored = await store.get('a')
      const isOwned = conflict === 'merge'
      t.is(stored.passport?.user, isOwned ? 'ann' : undefined)
      t.deepEqual(await handles(store, 'ann'), isOwned ? handlesOf('a') : [])
    })
  }

  test(`a user has no more sessions than the limit; ${way}`, async (t) => {
    const { store, disposed } = disposingStore(MemoryStore, { maxPerUser: 2, ...options })
    for (const sid of ['a', 'b', 'c']) await store.set(sid, of('ann'))
    await store.set('d', of('bob'))
    t.deepEqual(await handles(store, 'ann'), handlesOf('b', 'c'))
    t.deepEqual(
      disposed.map(([sid]) => sid),
      ['a'],
    )
  })

  test(`what a user may not have makes room before what others have; ${way}`, async (t) => {
    const limits = { max: 2, maxPerUser: 1 }
    const { store, disposed } = disposingStore(MemoryStore, { ...limits, ...options })
    for (const sid of ['b', 'a', 'c']) await store.set(sid, of(sid === 'b' ? 'bob' : 'ann'))
    t.deepEqual(
      disposed.map(([sid]) => sid),
      ['a'],
    )
    t.deepEqual(await handles(store, 'bob'), handlesOf('b'))
    t.is(store.stats().evictionsOfUsers, 0)
  })

  test(`a session too many is refused if the app wants that; ${way}`, async (t) => {
    const store = new MemoryStore({ maxPerUser: 1, whenFull: 'refuse', ...options })
    await store.set('a', of('ann'))
    await store.set('a', of('ann', { n: 1 }))
    const refused = { code: 'ERR_MEMORYSTORE_USER_FULL', instanceOf: Error }
    await t.throwsAsync(store.set('b', of('ann')), refused)
    t.is((await callbackArguments(store, 'set', 'b', of('ann')))[0].code, refused.code)
    t.is(await store.get('b'), undefined)

    // A session that was read, too.
    await store.set('c', { cookie: {} })
    const session = request(store, 'c', await store.get('c'))
    session.passport = { user: 'ann' }
    await t.throwsAsync(store.set('c', session), refused)
    t.deepEqual(await store.get('c'), { cookie: {} })
    await store.destroy('a')
    await store.set('c', session)
    t.deepEqual(await handles(store, 'ann'), handlesOf('c'))
  })

  test(`ended sessions are destroyed; ${way}`, async (t) => {
    const { store, disposed } = disposingStore(MemoryStore, options)
    for (const sid of ['a', 'b', 'c', 'd']) await store.set(sid, of('ann'))
    await store.set('e', of('bob'))
    const slow = request(store, 'a', await store.get('a'))

    t.is(await store.destroyUser('ann', { only: handleOf('e') }), 0, "it is not the user's")
    t.is(await store.destroyUser('ann', { only: 'nonsense' }), 0)
    t.is(await store.destroyUser('ann', { only: handleOf('d') }), 1)
    t.is(await store.destroyUser('ann', { except: 'b' }), 2)
    t.deepEqual(disposed.map(([sid]) => sid).sort(), ['a', 'c', 'd'])
    slow.n = 1
    await store.set('a', slow)
    t.is(await store.get('a'), undefined, 'a request under way does not bring it back')
    t.deepEqual(await handles(store, 'ann'), handlesOf('b'))
    t.is(await store.destroyUser('ann'), 1)
    t.is(await store.destroyUser('ann', {}), 0)
    t.deepEqual(await handles(store, 'bob'), handlesOf('e'))
  })

  test(`a user with very many sessions; ${way}`, async (t) => {
    const store = new MemoryStore(options)
    for (let i = 0; i < 3000; i++) store.set(`sid${i}`, of('ann', { i }), () => {})
    const listed = await store.sessionsOf('ann', { current: 'sid7' })
    t.is(new Set(listed.map(({ id }) => id)).size, 3000)
    t.is(listed.find(({ current }) => current).session.i, 7)
    t.is(await store.destroyUser('ann', { except: 'sid7' }), 2999)
    t.is(await store.length(), 1)
  })
}

test('ids are text, numbers and bigints; anything else is nobody', async (t) => {
  class ObjectId {
    toJSON() {
      return '6566'
    }
  }
  const users = [
    ['text', 'text'],
    [5, '5'],
    [-0.5, -0.5],
    [new ObjectId(), '6566'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    ['gr\u00fc\u00df "dich" \\ \n \u{1f600}', 'gr\u00fc\u00df "dich" \\ \n \u{1f600}'],
    [7, 7n],
  ]
  const nobodies = ['', null, undefined, true, NaN, Infinity, '\ud800', () => {}]
  for (const user of ['user', (session) => session.user]) {
    const store = new MemoryStore({ user })
    for (const [i, [id]] of users.entries()) await store.set(`sid${i}`, { cookie: {}, user: id })
    for (const [i, id] of nobodies.entries()) await store.set(`no${i}`, { cookie: {}, user: id })
    for (const [i, [, id]] of users.entries()) {
      t.deepEqual(await handles(store, id), handlesOf(`sid${i}`), `${typeof user} ${i}`)
    }
    const infos = await Promise.all(nobodies.map((_, i) => store.info(`no${i}`)))
    t.true(infos.every((info) => info.user === undefined))
    t.is((await store.info('sid1')).user, '5')
  }
  const big = new MemoryStore({ user: () => 7n })
  await big.set('sid', { cookie: {} })
  t.deepEqual(await handles(big, 7n), handlesOf('sid'))
  t.deepEqual(await handles(big, '7'), handlesOf('sid'))
})

test('a path follows own properties only', async (t) => {
  for (const serializer of [undefined, TEXTS]) {
    const store = new MemoryStore({ user: 'a.constructor.name', serializer })
    await store.set('a', { cookie: {}, a: {} })
    t.is((await store.info('a')).user, undefined)
    t.deepEqual(await store.sessionsOf('Object'), [])
  }
})

test.serial('an object as user is nobody, and warned of once', async (t) => {
  const { warnings, value } = watchWarnings(() => {
    const store = new MemoryStore({ user: 'user' })
    const done = [1, 2].map((n) => store.set(`sid${n}`, { cookie: {}, user: { id: n } }))
    const other = new MemoryStore({ user: (session) => session.user, maxPerUser: 1 })
    done.push(...[1, 2].map((n) => other.set(`sid${n}`, { cookie: {}, user: { id: n } })))
    return { other, done }
  })
  await Promise.all(value.done)
  t.deepEqual(
    warnings.map(({ code }) => code),
    ['MEMORYSTORE_OPTION'],
  )
  t.is(await value.other.length(), 2, 'nobody has a limit')
})

test('the limit of a user can be told by a function', async (t) => {
  const store = new MemoryStore({
    user: 'user',
    maxPerUser: (user, session) => (user === 'admin' ? 1 : session.many ? undefined : 2),
  })
  const set = (sid, user, more) => store.set(sid, { cookie: {}, user, ...more })
  for (const sid of ['a', 'b', 'c']) await set(sid, 'admin')
  for (const sid of ['d', 'e', 'f']) await set(sid, 'ann')
  for (const sid of ['g', 'h', 'i']) await set(sid, 'bob', { many: true })
  t.deepEqual(await handles(store, 'admin'), handlesOf('c'))
  t.deepEqual(await handles(store, 'ann'), handlesOf('e', 'f'))
  t.deepEqual(await handles(store, 'bob'), handlesOf('g', 'h', 'i'))

  // A merge by JavaScript, too.
  await set('x', undefined)
  const [one, other] = await Promise.all([store.get('x'), store.get('x')])
  const [login, slow] = [request(store, 'x', one), request(store, 'x', other)]
  login.user = 'admin'
  await store.set('x', login)
  slow.n = 1
  await store.set('x', slow)
  t.deepEqual(await handles(store, 'admin'), handlesOf('x'))
  t.is((await store.info('x')).session.n, 1)
})

test('five logins in one browser, each of which destroys the session before, end no other', async (t) => {
  const store = new MemoryStore({ user: 'user', maxPerUser: 2 })
  await store.set('phone', { cookie: {}, user: 'ann' })
  for (let i = 0; i < 5; i++) {
    await store.destroy(`browser${i - 1}`)
    await store.set(`browser${i}`, { cookie: {}, user: 'ann' })
  }
  t.deepEqual(await handles(store, 'ann'), handlesOf('phone', 'browser4'))
})

test.serial('info tells of a session without using it', async (t) => {
  const clock = FakeTimers.install({ now: 1e12, toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  const store = new MemoryStore({ user: 'user', max: 2, ttl: 1000 })
  await store.set('a', { cookie: {}, user: 'ann' })
  await store.set('b', { cookie: {}, user: 'bob' })
  clock.tick(5)
  const told = await store.info('a')
  t.deepEqual(told, {
    id: handleOf('a'),
    created: new Date(1e12),
    used: new Date(1e12),
    expires: new Date(1e12 + 1000),
    bytes: told.bytes,
    user: 'ann',
    session: { cookie: {}, user: 'ann' },
  })
  t.is(store.stats().hits, 0)
  await store.set('c', { cookie: {}, user: 'cy' })
  t.is(await store.info('a'), undefined, 'it was the least recently used')
  t.deepEqual(await callbackArguments(store, 'info', 'a'), [])
  clock.tick(1000)
  t.is(await store.info('b'), undefined)

  const plain = new MemoryStore({ ttl: 0 })
  await plain.set('a', { cookie: {} })
  const { created, used, expires, user, session } = await plain.info('a')
  t.deepEqual([created, used, expires, user], [undefined, undefined, undefined, undefined])
  t.deepEqual(session, { cookie: {} })
})

test('what is given has to be meant', async (t) => {
  const store = new MemoryStore({ user: 'user' })
  const wrong = { code: 'ERR_INVALID_ARG_TYPE', instanceOf: TypeError }
  for (const user of [undefined, null, '', NaN, {}, [], true]) {
    await t.throwsAsync(store.sessionsOf(user), wrong)
    await t.throwsAsync(store.destroyUser(user), wrong)
  }
  await store.set('a', { cookie: {}, user: 'ann' })
  for (const which of [
    { only: undefined },
    { only: 5 },
    { except: undefined },
    { except: null },
    { except: '' },
    { exclude: 'b' },
    'b',
    true,
  ]) {
    await t.throwsAsync(store.destroyUser('ann', which), wrong)
  }
  await t.throwsAsync(store.info(undefined), wrong)
  t.is(await store.length(), 1)

  const plain = new MemoryStore()
  for (const method of ['sessionsOf', 'destroyUser']) {
    await t.throwsAsync(plain[method]('ann'), { code: 'ERR_INVALID_STATE', message: /`user`/ })
    await t.throwsAsync(plain[method]('ann', {}), { code: 'ERR_INVALID_STATE' })
  }
  await store.close()
  for (const method of ['sessionsOf', 'destroyUser', 'info']) {
    await t.throwsAsync(store[method]('ann'), { code: 'ERR_MEMORYSTORE_CLOSED' })
  }
})

test('whoever watches a session hears that it was ended', async (t) => {
  const store = new MemoryStore({ user: 'user' })
  for (const sid of ['a', 'b', 'c']) await store.set(sid, { cookie: {}, user: 'ann' })
  const heard = new Promise((resolve) => store.watch('a', resolve))
  const kept = store.watch('b', () => t.fail())
  await store.destroyUser('ann', { except: 'b' })
  await heard
  kept()
  t.is(await store.length(), 1)
})

test('callbacks are called back', async (t) => {
  const store = new MemoryStore({ user: 'user' })
  await store.set('a', { cookie: {}, user: 'ann' })
  const [err, sessions] = await callbackArguments(store, 'sessionsOf', 'ann')
  t.is(err, null)
  t.is(sessions.length, 1)
  const [, listed] = await callbackArguments(store, 'sessionsOf', 'ann', { current: 'a' })
  t.true(listed[0].current)
  t.deepEqual(await callbackArguments(store, 'destroyUser', 'ann', { except: 'a' }), [null, 0])
  t.deepEqual(await callbackArguments(store, 'destroyUser', 'ann'), [null, 1])
  const [failure] = await callbackArguments(store, 'destroyUser', {})
  t.is(failure.code, 'ERR_INVALID_ARG_TYPE')
})

test('what a function of the options throws goes to the caller', async (t) => {
  const fail = () => {
    throw new Error('mine')
  }
  for (const options of [{ user: fail }, { user: () => 'ann', maxPerUser: fail }]) {
    const store = new MemoryStore(options)
    await t.throwsAsync(store.set('a', { cookie: {} }), { message: 'mine' })
    t.is(await store.length(), 0)
  }
  const store = new MemoryStore({ user: () => 'ann', maxPerUser: () => '2' })
  await t.throwsAsync(store.set('a', { cookie: {} }), { instanceOf: TypeError })
})

test('options that make no sense are errors', (t) => {
  for (const options of [
    { user: '' },
    { user: 'a..b' },
    { user: 5 },
    { user: null },
    { user: 'user', maxPerUser: 0 },
    { user: 'user', maxPerUser: '3' },
    { user: 'user', maxPerUser: NaN },
    { maxPerUser: 3 },
  ]) {
    t.throws(() => new MemoryStore(options), { instanceOf: TypeError }, JSON.stringify(options))
  }
})

test('stores on a backing do not know users', (t) => {
  const backing = { get: () => {}, set: () => {}, destroy: () => {} }
  for (const option of [{ user: 'user' }, { lifetime: 5 }, { user: 'user', maxPerUser: 5 }]) {
    const error = t.throws(() => new MemoryStore({ backing, ...option }))
    t.true(error instanceof TypeError)
    t.regex(error.message, /in memory, on a `path` and on `redis`/)
  }
})

test.serial('options that have no effect are warned of', (t) => {
  const { warnings } = watchWarnings(() => {
    new MemoryStore({ whenFull: 'refuse' })
    new MemoryStore({ user: 'user', maxPerUser: 2, whenFull: 'never' })
    new MemoryStore({ user: 'user', maxPerUser: 2, whenFull: 'end' })
  })
  t.is(warnings.length, 2)
})

test('stores that share their sessions by a name agree in these options', async (t) => {
  const user = (session) => session.user
  const options = { name: 'users', user: 'user', maxPerUser: 2, lifetime: 1000 }
  const store = new MemoryStore(options)
  const same = new MemoryStore(options)
  await store.set('a', { cookie: {}, user: 'ann' })
  t.deepEqual(await handles(same, 'ann'), handlesOf('a'))
  for (const [option, value] of Object.entries({
    user: 'id',
    maxPerUser: 3,
    lifetime: 2000,
    whenFull: 'refuse',
    anonymousFirst: false,
  })) {
    const error = t.throws(() => new MemoryStore({ ...options, [option]: value }))
    t.is(error.code, 'ERR_MEMORYSTORE_NAME')
    t.true(error.message.includes(`\`${option}\``), error.message)
  }
  t.throws(() => new MemoryStore({ ...options, user }), { code: 'ERR_MEMORYSTORE_NAME' })
  await Promise.all([store.close(), same.close()])
})
