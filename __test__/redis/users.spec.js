'use strict'

/** Whose the sessions are: lists of them, and their ends, on each server. */

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { join } = require('node:path')
const v8 = require('node:v8')
const { RedisStore } = require('connect-redis')
const { RACES, startMachines } = require('../../bench/races.js')
const { onEachServer } = require('../helpers/on-each-server.js')
const { randomOf } = require('../helpers/processes.js')
const { startProxy } = require('../helpers/proxy.js')
const { startServer } = require('../helpers/redis-servers.js')
const {
  HOUR,
  LIBRARIES,
  connectClient,
  eventually,
  newSession,
  openStore,
  readSession,
  untilCached,
} = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

const LOGINS = join(__dirname, '../helpers/redis-logins.js')

/** What the server and the network may take, in milliseconds. */
const SLACK = 60_000

async function start(t, binary, options) {
  const server = await startServer({ binary, ...options })
  t.teardown(() => server.kill())
  return server
}

const open = (t, server, options) =>
  openStore(t, server.url, { user: 'user', timeout: SLACK, ...options })

const numbersOf = (list) => list.map(({ session }) => session.n).sort((a, b) => a - b)

/** Starts processes that log ada in `count` times each once they are told to go. */
async function startLogins(t, server, { processes, count }) {
  const children = Array.from({ length: processes }, (_, n) => {
    const given = JSON.stringify({ url: server.url, user: 'ada', from: n * count, count })
    const child = fork(LOGINS, [given], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  })
  await Promise.all(children.map((child) => once(child, 'message')))
  return children
}

/** Kills a process, and resolves when it is gone. */
async function killed(child) {
  if (child.exitCode !== null) throw new Error(`it has ended by itself with ${child.exitCode}`)
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

onEachServer((test, { binary }) => {
  for (const library of Object.keys(LIBRARIES)) {
    test(`${library}: a list has the sessions of a user, the one used last first`, async (t) => {
      const server = await start(t, binary, { acl: true })
      const store = open(t, server, { library })
      const before = Date.now()
      for (const n of [1, 2, 3]) await store.set(`sid${n}`, newSession({ user: 'ada', n }))
      await store.set('other', newSession({ user: 'bob' }))
      await store.set('nobody', newSession({ n: 9 }))
      await untilNextMillisecond(server)
      await store.set('sid2', newSession({ user: 'ada', n: 2 }))
      const list = await store.sessionsOf('ada', { current: 'sid1' })
      t.is(list[0].session.n, 2)
      t.deepEqual(numbersOf(list), [1, 2, 3])
      for (const { id, created, used, expires, bytes, current, session } of list) {
        t.regex(id, /^[\w-]{22}$/)
        t.true(Math.abs(created - before) < SLACK && used >= created)
        t.true(Math.abs(expires - before - HOUR) < SLACK)
        t.is(bytes, Buffer.byteLength(JSON.stringify(newSession({ user: 'ada', n: session.n }))))
        t.is(current, session.n === 1)
      }
      const info = await store.info('sid1')
      t.is(info.user, 'ada')
      t.is(info.id, list.find(({ current }) => current).id)
      t.is((await store.info('nobody')).user, undefined)
      t.is(await store.info('no such'), undefined)
      t.deepEqual(await store.sessionsOf('eve'), [])
      t.is(await store.destroyUser('ada', { only: info.id }), 1)
      t.is(await store.get('sid1'), undefined)
      t.is(await store.destroyUser('ada', { except: 'sid3' }), 1)
      t.deepEqual(numbersOf(await store.sessionsOf('ada')), [3])
      t.is(await store.destroyUser('bob', { only: info.id }), 0, 'it is of another user')
      t.is(await store.destroyUser('ada'), 1)
      t.is(await store.destroyUser('ada'), 0)
      t.deepEqual((await store.ids()).sort(), ['nobody', 'other'])
    })
  }

  test('whose a session is, is what its text says', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server, { user: 'passport.user' })
    const objectId = { toJSON: () => '507f1f77' }
    const table = [
      [objectId, '507f1f77'],
      ['507f1f77', '507f1f77'],
      [7, '7'],
      ['7', '7'],
      [{ id: 7 }, undefined],
      ['', undefined],
      [null, undefined],
      [NaN, undefined],
      [undefined, undefined],
    ]
    for (const [i, [user, text]] of table.entries()) {
      await store.set(`sid${i}`, newSession({ passport: { user } }))
      t.is((await store.info(`sid${i}`)).user, text)
    }
    t.is((await store.sessionsOf('507f1f77')).length, 2)
    t.is((await store.sessionsOf(7)).length, 2)
    t.is((await store.sessionsOf(7n)).length, 2)
    t.deepEqual(await store.sessionsOf('[object Object]'), [])
    await t.throwsAsync(store.sessionsOf({ id: 7 }), { instanceOf: TypeError })
  })

  test('four processes log a user in 1000 times each: all are listed, and ended for good', async (t) => {
    const server = await start(t, binary)
    const children = await startLogins(t, server, { processes: 4, count: 1000 })
    const done = children.map((child) => once(child, 'message'))
    for (const child of children) child.send('go')
    await Promise.all(done)
    for (const child of children) await killed(child)
    const store = open(t, server)
    const list = await store.sessionsOf('ada')
    t.is(list.length, 4000)

    // These requests have read their sessions before the end.
    const late = ['login-0', 'login-1700', 'login-3999']
    const read = await Promise.all(late.map((sid) => readSession(store, sid)))
    t.is(await store.destroyUser('ada', { except: 'login-700' }), 3999)
    for (const [i, sid] of late.entries()) await store.set(sid, Object.assign(read[i], { n: 1 }))
    t.is((await store.sessionsOf('ada')).length, 1)
    t.deepEqual(await store.ids(), ['login-700'])
  })

  test('processes that are killed while a user logs in leave no session unlisted', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server)
    for (let round = 1; round <= 4; round++) {
      const children = await startLogins(t, server, { processes: 2, count: 2000 })
      const before = await store.length()
      for (const child of children) child.send('go')
      await until(async () => (await store.length()) > before + 20 * round)
      await Promise.all(children.map(killed))
      const ids = await store.ids()
      t.true(ids.length > before)
      t.is((await store.sessionsOf('ada')).length, ids.length)
      t.is(await store.destroyUser('ada', { except: ids[0] }), ids.length - 1)
      t.deepEqual(await store.ids(), [ids[0]])
    }
  })

  test('what was ended does not come back by a request under way', async (t) => {
    const server = await start(t, binary)
    const stores = [open(t, server), open(t, server)]
    const app = await startMachines(stores)
    t.teardown(() => app.stop())
    t.true(await RACES.ended.run(app))
    await stores[0].set('sid', newSession({ user: 'ada' }))
    const [mine, theirs] = [
      await readSession(stores[1], 'sid'),
      await readSession(stores[1], 'sid'),
    ]
    t.is(await stores[0].destroyUser('ada'), 1)
    mine.n = 1
    await stores[1].set('sid', mine)
    await stores[1].touch('sid', theirs)
    t.is(await stores[0].get('sid'), undefined)
    t.deepEqual(await stores[0].ids(), [])
  })

  test('a session that has expired and was ended does not come back either', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server)
    let session
    for (let life = 200; session === undefined; life *= 2) {
      await store.set('sid', newSession({ user: 'ada' }, life))
      session = await readSession(store, 'sid')
    }
    await until(async () => (await server.command('EXISTS', 'sess:sid')) === 0)
    t.deepEqual(await store.sessionsOf('ada'), [])
    t.is(await store.destroyUser('ada'), 0)
    session.cookie.maxAge = HOUR
    await store.set('sid', session)
    t.is(await store.get('sid'), undefined)
  })

  test('an ended session is gone from the near-cache of every process', async (t) => {
    const server = await start(t, binary)
    const [store, other] = [open(t, server), open(t, server)]
    for (const sid of ['one', 'two']) {
      await store.set(sid, newSession({ user: 'ada' }))
      await untilCached(other, sid)
    }
    await store.destroyUser('ada')
    await until(async () => (await other.get('one')) === undefined)
    await until(async () => (await other.get('two')) === undefined)
    t.pass()
  })

  test('a session that gets another user is that user’s from then on', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server)
    await store.set('sid', newSession({ n: 1 }))
    await untilOlder(store, 'sid', 20)
    const session = await readSession(store, 'sid')
    session.user = 'ada'
    await store.set('sid', session)
    const { created, used } = await store.info('sid')
    t.deepEqual(created, used, 'it began anew')
    t.is((await store.sessionsOf('ada')).length, 1)
    session.user = 'bob'
    await store.set('sid', session)
    t.deepEqual(await store.sessionsOf('ada'), [])
    t.is(await store.destroyUser('ada'), 0)
    t.is((await store.sessionsOf('bob')).length, 1)
    await untilOlder(store, 'sid', 20)
    session.n = 2
    await store.set('sid', session)
    const info = await store.info('sid')
    t.true(info.used - info.created >= 10, 'a write of the same user leaves it as it was')
  })

  test('a user who comes by a merge, and one who goes', async (t) => {
    const server = await start(t, binary)
    const [store, other] = [open(t, server), open(t, server)]
    await store.set('sid', newSession({ n: 1 }))
    const [mine, theirs] = [await readSession(store, 'sid'), await readSession(other, 'sid')]
    theirs.user = 'ada'
    await other.set('sid', theirs)
    mine.n = 2
    await store.set('sid', mine)
    t.is(store.stats().merges, 1)
    t.deepEqual(numbersOf(await store.sessionsOf('ada')), [2])
    const [late, logout] = [await readSession(store, 'sid'), await readSession(other, 'sid')]
    delete logout.user
    await other.set('sid', logout)
    late.n = 3
    await store.set('sid', late)
    t.deepEqual(await store.sessionsOf('ada'), [])
    t.is((await store.info('sid')).user, undefined)
  })

  test('where writes are not merged, the user is the last writer’s', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server, { conflict: 'overwrite' })
    await store.set('sid', newSession({ n: 1 }))
    const [mine, theirs] = [await readSession(store, 'sid'), await readSession(store, 'sid')]
    theirs.user = 'ada'
    await store.set('sid', theirs)
    mine.n = 2
    await store.set('sid', mine)
    t.deepEqual(await store.sessionsOf('ada'), [])
    t.is((await store.info('sid')).user, undefined)
  })

  test('after any calls in any order, each list has what the sessions say', async (t) => {
    const server = await start(t, binary)
    const random = randomOf(t)
    const stores = [open(t, server), open(t, server), open(t, server, { library: 'ioredis' })]
    const sids = ['a', 'b', 'c', 'd', 'e', 'f']
    const users = [undefined, 'ada', 'bob', 7]
    const pick = (list) => list[random.below(list.length)]
    const step = async () => {
      const [store, sid, user] = [pick(stores), pick(sids), pick(users)]
      const what = random.below(10)
      if (what === 0) return store.destroy(sid)
      if (what === 1 && user !== undefined) return store.destroyUser(user, { except: pick(sids) })
      if (what === 2) return store.set(sid, newSession({ user }))
      const session = await readSession(store, sid)
      if (session === undefined) return store.set(sid, newSession({ user }))
      if (what === 3) return store.touch(sid, session)
      session.user = user
      return store.set(sid, session)
    }
    for (let round = 0; round < 40; round++) {
      await Promise.all(Array.from({ length: 10 }, step))
      const texts = await Promise.all(sids.map((sid) => server.command('GET', `sess:${sid}`)))
      for (const user of users.slice(1)) {
        const ids = texts.filter((text) => text !== null && JSON.parse(text).user === user).length
        t.is((await pick(stores).sessionsOf(user)).length, ids)
      }
    }
  })

  test('wherever a connection is cut, each session that is there is listed', async (t) => {
    const server = await start(t, binary)
    const proxy = await startProxy(server.port)
    const store = open(t, proxy)
    const direct = open(t, server)
    await eventually(() => store.length())
    for (let round = 0; round < 20; round++) {
      const sids = Array.from({ length: 20 }, (_, i) => `sid-${round}-${i}`)
      const sets = sids.map((sid) => store.set(sid, newSession({ user: 'ada' })))
      setImmediate(() => proxy.cut())
      await Promise.allSettled(sets)
      await eventually(() => store.length())
    }
    const list = await direct.sessionsOf('ada')
    t.is(list.length, await direct.length())
    t.is(await direct.destroyUser('ada'), list.length)
    t.is(await direct.length(), 0)
  })

  test('a session of connect-redis is listed after the next set or touch', async (t) => {
    const server = await start(t, binary)
    const client = await connectClient(t, server.url)
    const before = new RedisStore({ client })
    const store = open(t, server, { touchAfter: 0 })
    await before.set('sid', newSession({ user: 'ada' }))
    t.deepEqual(await store.sessionsOf('ada'), [])
    t.is((await store.info('sid')).created, undefined)
    t.is((await store.info('sid')).user, 'ada')
    const session = await readSession(store, 'sid')
    session.cookie.expires = new Date(Date.now() + 2 * HOUR)
    await store.touch('sid', session)
    t.is((await store.sessionsOf('ada')).length, 1)
    t.is((await before.all()).filter(({ cookie }) => cookie).length, 1)
    t.is(await store.destroyUser('ada'), 1)
    t.is((await before.get('sid')) ?? undefined, undefined)
  })

  test('the index is not listed, and goes with the sessions', async (t) => {
    const server = await start(t, binary)
    for (const prefix of ['sess:', '', '{tag}:']) {
      await server.command('FLUSHALL')
      const store = open(t, server, { prefix })
      for (const sid of ['a', '{b}c', 'd']) await store.set(sid, newSession({ user: 'ada' }))
      t.deepEqual((await store.ids()).sort(), ['a', 'd', '{b}c'])
      t.is(await store.length(), 3)
      for (const key of await server.command('KEYS', '*')) {
        const left = await server.command('PTTL', key)
        // A probe of the connection may have expired meanwhile.
        t.not(left, -1, key)
        if (left === -2) continue
        const sid = key.slice(prefix.length)
        if (['a', '{b}c', 'd'].includes(sid)) continue
        t.is(await store.get(sid), undefined)
        await t.throwsAsync(store.set(sid, newSession()), { code: 'ERR_INVALID_ARG_VALUE' })
      }
      t.is((await store.sessionsOf('ada')).length, 3)
      await store.clear()
      t.deepEqual(await store.sessionsOf('ada'), [])
      const left = await server.command('KEYS', '*')
      t.is(left.filter((key) => key.endsWith(':entry')).length, 0)
    }
  })

  test('sessions may be bytes', async (t) => {
    const server = await start(t, binary)
    const serializer = { stringify: v8.serialize, parse: v8.deserialize }
    const disposed = []
    const dispose = (sid, body) => disposed.push([sid, v8.deserialize(body).n])
    const options = { serializer, maxPerUser: 2, dispose, noDisposeOnSet: true }
    const store = open(t, server, options)
    const plain = (n) => ({ user: 'ada', n, cookie: { originalMaxAge: HOUR, maxAge: HOUR } })
    for (const n of [1, 2, 3]) {
      await store.set(`sid${n}`, plain(n))
      await untilNextMillisecond(server)
    }
    t.deepEqual(disposed, [['sid1', 1]])
    t.deepEqual(numbersOf(await store.sessionsOf('ada')), [2, 3])
    t.is(await store.destroyUser('ada', { except: 'sid3' }), 1)
    t.deepEqual(disposed, [
      ['sid1', 1],
      ['sid2', 2],
    ])
  })

  test('without the options there is one key a session, and not one command more', async (t) => {
    const server = await start(t, binary)
    const store = open(t, server, { user: undefined })
    const use = async () => {
      await store.set('sid', newSession({ user: 'ada' }))
      await store.get('sid')
      await store.touch('sid', newSession({ user: 'ada' }, 2 * HOUR))
      await store.destroy('sid')
    }
    // The scripts have to be sent once.
    await use()
    const before = store.stats().roundTrips
    await use()
    t.is(store.stats().roundTrips - before, 4)
    await server.command('FLUSHALL')
    await store.set('sid', newSession({ user: 'ada' }))
    t.deepEqual(await server.command('KEYS', '*'), ['sess:sid'])
    t.is((await store.info('sid')).created, undefined)
    await t.throwsAsync(store.sessionsOf('ada'), { code: 'ERR_INVALID_STATE' })
    await t.throwsAsync(store.destroyUser('ada'), { code: 'ERR_INVALID_STATE' })
  })
})

/** Waits until the session is so many milliseconds old, by the clock of the server. */
function untilOlder(store, sid, age) {
  return until(async () => Date.now() - (await store.info(sid)).created >= age)
}

/** So that what is used next is used later. */
async function untilNextMillisecond(server) {
  const now = async () => {
    const [seconds, micros] = await server.command('TIME')
    return Number(seconds) * 1000 + Math.floor(micros / 1000)
  }
  const before = await now()
  await until(async () => (await now()) > before)
}
