'use strict'

/** How many sessions a user may have, and for how long a session may live, on each server. */

const { startApp } = require('../../bench/races.js')
const { onEachServer } = require('../helpers/on-each-server.js')
const { startServer } = require('../helpers/redis-servers.js')
const { HOUR, newSession, openStore, readSession } = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

const YEAR = 365 * 24 * HOUR

/** What the server and the network may take, in milliseconds. */
const SLACK = 60_000

async function start(t, binary) {
  const server = await startServer({ binary })
  t.teardown(() => server.kill())
  return server
}

const open = (t, server, options) =>
  openStore(t, server.url, { user: 'user', timeout: SLACK, touchAfter: 0, ...options })

const adas = (n) => newSession({ user: 'ada', n })

/** How many sessions the server has, however they are listed. */
async function countOf(server) {
  const keys = await server.command('KEYS', 'sess:*')
  return keys.filter((key) => !key.startsWith('sess:{')).length
}

onEachServer((test, { binary }) => {
  test('four stores log a user in at once: there are never more than the limit', async (t) => {
    const server = await start(t, binary)
    const stores = [1, 2, 3, 4].map(() => open(t, server, { maxPerUser: 3 }))
    let isOver = false
    const watch = async () => {
      let most = 0
      while (!isOver) most = Math.max(most, await countOf(server))
      return most
    }
    const watched = watch()
    const logins = stores.map(async (store, i) => {
      for (let n = 0; n < 100; n++) {
        await Promise.all([1, 2].map((m) => store.set(`sid-${i}-${n}-${m}`, adas(n))))
      }
    })
    await Promise.all(logins)
    isOver = true
    t.is(await watched, 3)
    t.is((await stores[0].sessionsOf('ada')).length, 3)
    t.is(await countOf(server), 3)
  })

  test('those that were used longest ago are ended, and disposed of', async (t) => {
    const server = await start(t, binary)
    const disposed = []
    const dispose = (sid, body) => disposed.push([sid, JSON.parse(body).n])
    const store = open(t, server, { maxPerUser: 2, dispose, noDisposeOnSet: true })
    await store.set('one', adas(1))
    const slow = await readSession(store, 'one')
    await pause(store, 'one')
    await store.set('two', adas(2))
    await pause(store, 'two')
    await store.touch('one', adas(1))
    await store.set('one', adas(1))
    t.deepEqual(disposed, [], 'what is the user’s already is not judged')
    await pause(store, 'one')
    await store.set('three', adas(3))
    t.deepEqual(disposed, [['two', 2]])
    t.deepEqual((await store.ids()).sort(), ['one', 'three'])
    await store.set('four', adas(4))
    slow.late = true
    await store.set('one', slow)
    t.deepEqual((await store.ids()).sort(), ['four', 'three'], 'it does not come back')
    t.is(store.stats().refusedWrites, 1)
  })

  test('a login is refused where nobody is to be ended', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server, { maxPerUser: 1, whenFull: 'refuse' })
    await store.set('one', adas(1))
    const full = { code: 'ERR_MEMORYSTORE_USER_FULL' }
    await t.throwsAsync(store.set('two', adas(2)), full)
    await store.set('nobody', newSession({ n: 3 }))
    const session = await readSession(store, 'nobody')
    session.user = 'ada'
    await t.throwsAsync(store.set('nobody', session), full)
    t.is((await store.info('nobody')).user, undefined)
    await store.set('one', adas(4))
    t.deepEqual((await store.ids()).sort(), ['nobody', 'one'])
    await store.destroy('one')
    await store.set('nobody', session)
    t.is((await store.sessionsOf('ada')).length, 1)
  })

  test('the limit can depend on the user; what has expired does not count', async (t) => {
    const server = await start(t, binary)
    const maxPerUser = (user, { role }) => (role === 'admin' ? 1 : undefined)
    const store = open(t, server, { maxPerUser, whenFull: 'refuse' })
    for (const sid of ['a', 'b', 'c']) await store.set(sid, newSession({ user: 'ada' }))
    t.is((await store.sessionsOf('ada')).length, 3)
    await store.set('d', newSession({ user: 'bob', role: 'admin' }, 300))
    await until(async () => (await server.command('EXISTS', 'sess:d')) === 0)
    await store.set('e', newSession({ user: 'bob', role: 'admin' }))
    t.is((await store.sessionsOf('bob')).length, 1)
    const wrong = open(t, server, { maxPerUser: () => 'many' })
    await t.throwsAsync(wrong.set('f', adas(1)), { instanceOf: TypeError })
  })

  test('who logs in again in the same browser ends nobody', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server, { maxPerUser: 2 })
    const app = await startApp(store)
    t.teardown(() => app.stop())
    const [one, other] = [app.client(), app.client()]
    await one.post('/login', { user: 'ada' })
    for (let i = 0; i < 5; i++) await other.post('/login', { user: 'ada' })
    t.is((await one.session()).user, 'ada')
    t.is((await other.session()).user, 'ada')
  })

  test('no touch and no cookie makes a session live longer than the lifetime', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server, { lifetime: HOUR })
    const left = async (sid) => server.command('PTTL', `sess:${sid}`)
    await store.set('sid', newSession({ user: 'ada' }, YEAR))
    t.true((await left('sid')) <= HOUR)
    await pause(store, 'sid')
    const before = await left('sid')
    const session = await readSession(store, 'sid')
    t.true(session.cookie.expires.getTime() < Date.now() + HOUR + SLACK)
    session.cookie.maxAge = YEAR
    await store.touch('sid', session)
    t.true((await left('sid')) < before)
    session.n = 1
    await store.set('sid', session)
    t.true((await left('sid')) < before)
    await store.set('sid', newSession({ user: 'ada' }, YEAR))
    t.true((await left('sid')) < before, 'nor a write of what was not read')
    const shorter = newSession({ user: 'ada' }, HOUR / 2)
    await store.set('sid', shorter)
    t.true((await left('sid')) <= HOUR / 2)
    await store.set('sid', newSession({ user: 'bob' }, YEAR))
    const { created, used } = await store.info('sid')
    t.deepEqual(created, used, 'another user begins anew')
  })

  test('a touch that cannot extend a session is not sent each time', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server, { lifetime: HOUR, touchAfter: undefined })
    await store.set('sid', newSession({ user: 'ada' }, YEAR))
    const touch = async () => {
      const session = await readSession(store, 'sid')
      // As express-session does.
      await store.touch('sid', session.touch())
    }
    await touch()
    const { touches } = store.stats()
    t.is(touches, 1)
    for (let i = 0; i < 5; i++) await touch()
    t.is(store.stats().touches, 1)
    const session = await readSession(store, 'sid')
    session.cookie.maxAge = 2 * YEAR
    await store.touch('sid', session)
    t.is(store.stats().touches, 2, 'what changes more of the cookie is')
  })

  test('other processes know since when a session is there', async (t) => {
    const server = await start(t, binary)
    const [store, other] = [1, 2].map(() => open(t, server, { lifetime: HOUR, user: undefined }))
    await store.set('sid', newSession({}, YEAR))
    await pause(store, 'sid')
    const before = await server.command('PTTL', 'sess:sid')
    const session = await readSession(other, 'sid')
    session.n = 1
    session.cookie.maxAge = YEAR
    await other.set('sid', session)
    t.true((await server.command('PTTL', 'sess:sid')) < before)
    const { created, used } = await other.info('sid')
    t.true(used > created)
  })

  test('a request that outlives the lifetime does not begin another', async (t) => {
    const server = await start(t, binary)
    let lifetime = 200
    const store = open(t, server, { lifetime: () => lifetime })
    let session
    for (; session === undefined; lifetime *= 2) {
      await store.set('sid', newSession({ user: 'ada' }, YEAR))
      session = await readSession(store, 'sid')
    }
    lifetime /= 2
    await until(async () => (await server.command('EXISTS', 'sess:sid')) === 0)
    session.n = 1
    session.cookie.maxAge = YEAR
    await store.set('sid', session)
    t.is(await store.get('sid'), undefined)
    t.deepEqual(await store.sessionsOf('ada'), [])
  })

  test('the lifetime can depend on the session', async (t) => {
    const server = await start(t, binary)
    const lifetime = (options, { remember }, sid) => {
      if (sid === 'over') return 0
      return remember ? undefined : HOUR
    }
    const store = open(t, server, { lifetime })
    await store.set('short', newSession({ user: 'ada' }, YEAR))
    await store.set('long', newSession({ user: 'ada', remember: true }, YEAR))
    await store.set('over', newSession({ user: 'ada' }, YEAR))
    t.true((await server.command('PTTL', 'sess:short')) <= HOUR)
    t.true((await server.command('PTTL', 'sess:long')) > YEAR - HOUR)
    t.deepEqual((await store.ids()).sort(), ['long', 'short'])
  })
})

/** Waits until the session is older than the resolution of the clocks. */
function pause(store, sid) {
  return until(async () => Date.now() - (await store.info(sid)).used > 20)
}
