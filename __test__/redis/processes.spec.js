'use strict'

/**
 * What many machines are: processes that share nothing but the server, each with an app and a
 * connection of its own, and browsers that come to one or the other.
 *
 * The tests run one after the other: each starts as many processes as the machine can bear.
 */

const { fork } = require('node:child_process')
const { once } = require('node:events')
const { request } = require('node:http')
const { join } = require('node:path')
const { RedisStore } = require('connect-redis')
const { createClient } = require('../helpers/http.js')
const { onEachServer } = require('../helpers/on-each-server.js')
const { servers, startServer } = require('../helpers/redis-servers.js')
const {
  HOUR,
  LIBRARIES,
  connectClient,
  newSession,
  openStore,
  readSession,
  untilCached,
  valuesOf,
} = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

const APP = join(__dirname, '../helpers/redis-app.js')
const MINUTE = 60_000

/** On all servers together. */
const LOGOUTS = 1000

/** How many races run at once. */
const AT_ONCE = 25

const times = (count, make) => Array.from({ length: count }, (_, i) => make(i))

async function start(t, binary) {
  const server = await startServer({ binary })
  t.teardown(() => server.kill())
  return server
}

/** The URL of an app in a process of its own; see redis-app.js. */
async function startApp(t, server, { store = 'memorystore-rs', maxAge = HOUR, ...more } = {}) {
  const given = JSON.stringify({ url: server.url, store, maxAge, ...more })
  const child = fork(APP, [given], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const [{ port }] = await once(child, 'message')
  return `http://127.0.0.1:${port}`
}

function startApps(t, server, ...options) {
  return Promise.all(options.map((each) => startApp(t, server, each)))
}

/** A browser that is logged in by the app at `url`. */
async function logIn(url, name) {
  const client = createClient(url)
  const { status, body } = await client.post(`/login/${name}`)
  if (status !== 200) throw new Error(`the login of ${name} failed with ${status}`)
  return { client, sid: body.sid }
}

/** The same browser at another app. */
function at(url, { jar }) {
  return createClient(url, jar)
}

async function nameOf(url, client) {
  return (await at(url, client).get('/me')).body.name
}

/**
 * Begins a request that has read its session when this resolves, and sets `key` in it when it is
 * released.
 */
async function startSlow(url, { jar }, key) {
  const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  const slow = request(`${url}/slow/${key}`, {
    method: 'POST',
    headers: { cookie, 'transfer-encoding': 'chunked' },
    agent: false,
  })
  slow.flushHeaders()
  const [response] = await once(slow, 'response')
  return {
    release: async () => {
      const over = once(response.resume(), 'end')
      slow.end()
      await over
    },
  }
}

/**
 * Begins so many races: for each, somebody is logged in, and a slow request has read that session
 * at the app `url`. Then `end(clients)` logs them out. Resolves with the clients when the slow
 * requests are over.
 */
async function race(url, count, end) {
  const clients = []
  for (let left = count; left > 0; left -= AT_ONCE) {
    const some = await Promise.all(
      times(Math.min(AT_ONCE, left), async (n) => {
        const { client } = await logIn(url, `user${n}`)
        return { client, slow: await startSlow(url, client, 'slow') }
      }),
    )
    await end(some.map(({ client }) => client))
    await Promise.all(some.map(({ slow }) => slow.release()))
    clients.push(...some.map(({ client }) => client))
  }
  return clients
}

/** Checks that all are logged out, for the server and for each of the apps. */
async function assertLoggedOut(t, server, apps, clients) {
  const keys = await server.command('KEYS', 'sess:*')
  t.deepEqual(
    keys.filter((key) => !key.startsWith('sess:{')),
    [],
  )
  for (const app of apps) {
    // The news of the last logout may still be under way.
    await until(async () => (await nameOf(app, clients.at(-1))) === undefined)
    for (let i = 0; i < clients.length; i += AT_ONCE) {
      const some = clients.slice(i, i + AT_ONCE)
      const names = await Promise.all(some.map((client) => nameOf(app, client)))
      t.deepEqual(names, Array(some.length).fill(undefined))
    }
  }
}

async function assertRefused(t, app, count) {
  const { body } = await createClient(app).get('/stats')
  t.is(body.refusedWrites, count)
}

async function logOut(url, clients) {
  const answers = await Promise.all(clients.map((client) => at(url, client).post('/logout')))
  if (answers.some(({ status }) => status !== 200)) throw new Error('a logout failed')
}

/** Moves when the cookie expires and nothing else, as a request at that time does. */
function extend({ cookie }, life) {
  const { originalMaxAge } = cookie
  cookie.expires = new Date(Date.now() + life)
  cookie.originalMaxAge = originalMaxAge
}

onEachServer((test, { binary }) => {
  test.serial('a logout at one process is one for slow requests of the other', async (t) => {
    const server = await start(t, binary)
    const [a, b] = await startApps(t, server, {}, {})
    const count = LOGOUTS / servers().length
    const clients = await race(a, count, (some) => logOut(b, some))
    await assertRefused(t, a, count)
    await assertLoggedOut(t, server, [a, b], clients)
  })

  test.serial('a logout by connect-redis is one for slow requests beside it', async (t) => {
    const server = await start(t, binary)
    const [a, old] = await startApps(t, server, {}, { store: 'connect-redis' })
    const clients = await race(a, 100, (some) => logOut(old, some))
    await assertRefused(t, a, 100)
    await assertLoggedOut(t, server, [a, old], clients)
  })

  test.serial('FLUSHALL logs everybody out, also those with slow requests', async (t) => {
    const server = await start(t, binary)
    const [a, b] = await startApps(t, server, {}, {})
    const clients = await race(a, 100, () => server.command('FLUSHALL'))
    await assertRefused(t, a, 100)
    await assertLoggedOut(t, server, [a, b], clients)
  })

  test.serial('so does a restart of a server without persistence', async (t) => {
    const server = await start(t, binary)
    const apps = await startApps(t, server, {}, {})
    const clients = await race(apps[0], 50, async () => {
      await server.restart()
      for (const app of apps) {
        await until(async () => (await createClient(app).get('/health')).status === 200)
      }
    })
    await assertRefused(t, apps[0], 50)
    await assertLoggedOut(t, server, apps, clients)
  })

  test.serial('a hundred parallel requests at two processes keep each other’s keys', async (t) => {
    const server = await start(t, binary)
    const apps = await startApps(t, server, {}, {})
    const { client } = await logIn(apps[0], 'Ada')
    const slow = await Promise.all(times(100, (n) => startSlow(apps[n % 2], client, `key${n}`)))
    await server.command('CONFIG', 'RESETSTAT')
    await Promise.all(slow.map(({ release }) => release()))
    const stats = await server.command('INFO', 'commandstats')
    const calls = [...stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)]
    const count = calls.reduce((sum, [, number]) => sum + Number(number), 0)
    t.log(`${count} script calls`)
    t.true(count <= 300, `${count} script calls`)
    const expected = Object.fromEntries(times(100, (n) => [`key${n}`, 1]))
    for (const app of apps) {
      await until(async () => Object.keys((await at(app, client).get('/me')).body).length > 100)
      t.deepEqual((await at(app, client).get('/me')).body, { name: 'Ada', ...expected })
    }
  })

  test.serial('an upgrade from connect-redis and a rollback lose nobody', async (t) => {
    const server = await start(t, binary)
    const [old, now] = await startApps(t, server, { store: 'connect-redis' }, {})

    const { client: ada, sid } = await logIn(old, 'Ada')
    t.is(await nameOf(now, ada), 'Ada')
    await at(now, ada).post('/keys/byNew')
    t.deepEqual((await at(old, ada).get('/me')).body, { name: 'Ada', byNew: 1 })
    await at(old, ada).post('/keys/byOld')
    await until(async () => (await at(now, ada).get('/me')).body.byOld === 1)
    await at(now, ada).post('/keys/again')
    const all = { name: 'Ada', byNew: 1, byOld: 1, again: 1 }
    t.deepEqual((await at(old, ada).get('/me')).body, all)
    const left = await server.command('PTTL', `sess:${sid}`)
    t.true(left > HOUR - 10 * MINUTE && left <= HOUR, `${left}`)

    const { client: bob } = await logIn(now, 'Bob')
    t.is(await nameOf(old, bob), 'Bob')
    await logOut(old, [ada])
    await until(async () => (await nameOf(now, ada)) === undefined)
    await logOut(now, [bob])
    t.is(await nameOf(old, bob), undefined)
  })

  test.serial('the record is the one of connect-redis, to the byte', async (t) => {
    const server = await start(t, binary)
    const client = await connectClient(t, server.url)
    const theirs = new RedisStore({ client })
    const ours = openStore(t, server.url)
    const session = newSession({ name: 'Ada', text: 'é😀"\\', list: [1, null, { a: 2 }] })
    await theirs.set('theirs', session)
    await ours.set('ours', session)
    t.is(await server.command('GET', 'sess:ours'), await server.command('GET', 'sess:theirs'))
    t.deepEqual(await ours.get('theirs'), await theirs.get('ours'))
    const all = await theirs.all()
    t.deepEqual(all.map(({ id }) => id).sort(), ['ours', 'theirs'])

    // What is remembered of a logout does not get in the way.
    await ours.destroy('ours')
    t.is((await theirs.all()).filter(({ name }) => name === 'Ada').length, 1)
    t.deepEqual(await ours.ids(), ['theirs'])
    await theirs.destroy('theirs')
    await until(async () => (await ours.get('theirs')) === undefined)

    const lasting = { ...session, cookie: { originalMaxAge: null } }
    await theirs.set('theirs', lasting)
    await ours.set('ours', lasting)
    const [their, our] = [
      await server.command('TTL', 'sess:theirs'),
      await server.command('TTL', 'sess:ours'),
    ]
    t.true(Math.abs(their - our) < 600, `${their} and ${our} seconds`)
  })

  test.serial('a touch elsewhere moves the expiry that is read', async (t) => {
    const server = await start(t, binary)
    const [a, b] = [openStore(t, server.url), openStore(t, server.url)]
    await a.set('sid', newSession({ n: 1 }))
    await untilCached(a, 'sid')
    const lifeOf = async (store) => {
      const { cookie } = await store.get('sid')
      return new Date(cookie.expires) - Date.now()
    }
    const isAbout = (life, expected) => Math.abs(life - expected) < 10 * MINUTE
    t.true(isAbout(await lifeOf(a), HOUR))

    const session = await readSession(b, 'sid')
    extend(session, 2 * HOUR)
    await b.touch('sid', session)
    await until(async () => isAbout(await lifeOf(a), 2 * HOUR))
    t.true(isAbout(await lifeOf(b), 2 * HOUR))
    t.true(isAbout(await server.command('PTTL', 'sess:sid'), 2 * HOUR))

    // connect-redis moves the expiry in whole seconds, and leaves the record as it is.
    await untilCached(a, 'sid')
    const late = await readSession(a, 'sid')
    extend(late, 3 * HOUR)
    await server.command('EXPIRE', 'sess:sid', (4 * HOUR) / 1000)
    await until(async () => isAbout(await lifeOf(a), 4 * HOUR))
    // A request that read before and ends now does not take it back.
    await a.touch('sid', late)
    t.true(isAbout(await lifeOf(a), 4 * HOUR))
    t.true(isAbout(await server.command('PTTL', 'sess:sid'), 4 * HOUR))
    t.deepEqual(await valuesOf(a, 'sid'), { n: 1 })
  })

  for (const library of Object.keys(LIBRARIES)) {
    test.serial(
      `${library}: a sid that is used again is not that of who was logged out`,
      async (t) => {
        const server = await start(t, binary)
        const [a, b] = [0, 1].map(() => openStore(t, server.url, { library, maxStale: HOUR }))
        await b.set('sid', newSession({ n: 1 }))
        await untilCached(a, 'sid')
        const late = await readSession(a, 'sid')
        await b.destroy('sid')
        await b.set('sid', newSession({ n: 2 }))
        await until(async () => (await valuesOf(a, 'sid'))?.n === 2)
        await untilCached(a, 'sid')
        const [ours, theirs] = [await readSession(a, 'sid'), await readSession(b, 'sid')]
        theirs.theirs = 1
        await b.set('sid', theirs)
        ours.ours = 1
        await a.set('sid', ours)
        const both = { n: 2, ours: 1, theirs: 1 }
        t.deepEqual(JSON.parse(await server.command('GET', 'sess:sid')).ours, 1)
        t.deepEqual(await valuesOf(a, 'sid'), both)
        late.late = 1
        await a.set('sid', late)
        t.deepEqual(await valuesOf(a, 'sid'), both)
        t.is(a.stats().refusedWrites, 1)
      },
    )
  }

  test.serial('machines whose clocks differ by an hour share sessions', async (t) => {
    const server = await start(t, binary)
    const maxAge = 30 * MINUTE
    const apps = await startApps(t, server, { maxAge }, { maxAge, clock: HOUR })
    for (const [here, there] of [apps, [...apps].reverse()]) {
      const { client, sid } = await logIn(here, 'Ada')
      await at(there, client).post('/keys/there')
      await until(async () => (await at(here, client).get('/me')).body.there === 1)
      await at(here, client).post('/keys/here')
      await until(async () => (await at(there, client).get('/me')).body.here === 1)
      for (const app of apps) {
        const { headers } = await at(app, client).get('/me')
        const life = Number(headers.get('x-life'))
        t.true(life > 20 * MINUTE && life <= maxAge + MINUTE, `${life}`)
      }
      const left = await server.command('PTTL', `sess:${sid}`)
      t.true(left > 20 * MINUTE && left <= maxAge, `${left}`)
      await logOut(here, [client])
    }
    const [a, b] = apps
    const out = [
      ...(await race(a, 25, (some) => logOut(b, some))),
      ...(await race(b, 25, (some) => logOut(a, some))),
    ]
    await assertRefused(t, a, 25)
    await assertRefused(t, b, 25)
    await assertLoggedOut(t, server, apps, out)
  })
})
