'use strict'

/**
 * Servers and networks that fail: every call gets its answer, nothing stale is kept, and no logout
 * is undone.
 *
 * No test measures how fast an answer is: a call has to get it long before the libraries give up,
 * which here they do after ten minutes, and where the server is known to be down within a few turns
 * of the event loop.
 */

const { format, inspect, stripVTControlCharacters } = require('node:util')
const createDebug = require('debug')
const { onEachServer } = require('../helpers/on-each-server.js')
const { succeed } = require('../helpers/process.js')
const { startProxy } = require('../helpers/proxy.js')
const { RULES, startServer } = require('../helpers/redis-servers.js')
const {
  HOUR,
  LIBRARIES,
  connectClient,
  eventually,
  newSession,
  openStore,
  readSession,
  untilCached,
  valuesOf,
} = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

/** In milliseconds: of the stores, and what a call may take on a busy machine. */
const TIMEOUT = 200
const PATIENCE = 60_000

/** How many turns of the event loop a call may take where the server is known to be down. */
const TURNS = 20

/** What the log of `DEBUG=memorystore` shows. */
const log = []
createDebug.enable('memorystore')
createDebug.log = (...args) => log.push(stripVTControlCharacters(format(...args)))

async function start(t, binary, args = []) {
  const server = await startServer({ binary, args })
  t.teardown(() => server.kill())
  return server
}

async function startBehindProxy(t, binary) {
  const server = await start(t, binary)
  const proxy = await startProxy(server.port)
  t.teardown(() => proxy.close())
  return { server, proxy }
}

/** A store, with the session `cached` in its near-cache. */
async function openWarmStore(t, url, options) {
  const store = openStore(t, url, { timeout: TIMEOUT, ...options })
  await eventually(() => store.set('cached', newSession({ n: 1 })))
  await untilCached(store, 'cached')
  return store
}

/**
 * Makes each call that asks the server: for each method, its error, `'done'`, or `'no answer'`.
 * The callbacks have to be called once.
 */
async function callAll(t, store, tied) {
  const { maxAge } = tied.cookie
  tied.changed = (tied.changed ?? 0) + 1
  tied.cookie.maxAge = maxAge + HOUR
  const calls = {
    get: (fn) => store.get('other', fn),
    'get of what was read': (fn) => store.get('cached', fn),
    set: (fn) => store.set('new', newSession({ n: 2 }), fn),
    'set of what was read': (fn) => store.set('cached', tied, fn),
    touch: (fn) => store.touch('other', newSession(), fn),
    'touch of what was read': (fn) => store.touch('cached', tied, fn),
    destroy: (fn) => store.destroy('other', fn),
    'destroy of many': (fn) => store.destroy(['other', 'another'], fn),
    ids: (fn) => store.ids(fn),
    all: (fn) => store.all(fn),
    length: (fn) => store.length(fn),
    clear: (fn) => store.clear(fn),
  }
  const results = {}
  await Promise.all(
    Object.entries(calls).map(async ([name, call]) => {
      let answers = 0
      const answered = new Promise((resolve) => {
        call((err) => {
          t.is(++answers, 1, name)
          resolve(err ?? 'done')
        })
      })
      results[name] = await withPatience(answered)
    }),
  )
  return results
}

async function withPatience(promise) {
  let timer
  const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE, 'no answer')))
  const result = await Promise.race([promise, late])
  clearTimeout(timer)
  return result
}

/** Whether it is answered within a few turns of the event loop. */
async function isAnsweredAtOnce(call) {
  let isAnswered = false
  call().then(
    () => (isAnswered = true),
    () => (isAnswered = true),
  )
  for (let n = 0; n < TURNS && !isAnswered; n++) await turn()
  return isAnswered
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Checks that the server could not be asked, in the words of the documentation. */
function assertUnavailable(t, results, codes = /^ERR_MEMORYSTORE_(UNAVAILABLE|TIMEOUT)$/) {
  for (const [name, result] of Object.entries(results)) {
    // What was read is served for a while.
    if (name === 'get of what was read' && result === 'done') continue
    t.true(result instanceof Error, `${name}: ${inspect(result)}`)
    t.regex(String(result.code), codes, name)
    if (result.code === 'ERR_MEMORYSTORE_UNAVAILABLE') {
      t.true(result.cause instanceof Error, `${name} has no cause`)
    }
  }
}

/** Waits until the store knows that it has no connection; checks what it answers then. */
async function assertKnownToBeDown(t, store, tied) {
  await until(async () => {
    const err = await store.get('other').catch((err) => err)
    return err?.code === 'ERR_MEMORYSTORE_UNAVAILABLE'
  })
  for (const [name, call] of Object.entries({
    get: () => store.get('other'),
    'get of what was read': () => store.get('cached'),
    set: () => store.set('new', newSession()),
    'set of what was read': () => store.set('cached', tied),
    touch: () => store.touch('other', newSession()),
    destroy: () => store.destroy('other'),
    length: () => store.length(),
    clear: () => store.clear(),
  })) {
    t.true(await isAnsweredAtOnce(call), name)
    await t.throwsAsync(call, { code: 'ERR_MEMORYSTORE_UNAVAILABLE' }, name)
  }
  assertUnavailable(t, await callAll(t, store, tied), /^ERR_MEMORYSTORE_UNAVAILABLE$/)
}

/** Checks that the store has what the server has. */
async function assertRight(t, store, server, sid) {
  const stored = await server.command('GET', `sess:${sid}`)
  const values = stored === null ? undefined : JSON.parse(stored)
  delete values?.cookie
  t.deepEqual(await valuesOf(store, sid), values)
}

onEachServer((test, { binary }) => {
  for (const library of Object.keys(LIBRARIES)) {
    const title = (text) => `${library}: ${text}`

    test.serial(title('a server that is stopped leaves no call without an answer'), async (t) => {
      const server = await start(t, binary)
      const store = await openWarmStore(t, server.url, { library })
      const tied = await readSession(store, 'cached')
      await server.stop()
      assertUnavailable(t, await callAll(t, store, tied))
      await assertKnownToBeDown(t, store, tied)
      server.cont()
      await eventually(() => store.length())
      await assertRight(t, store, server, 'cached')
      await assertRight(t, store, server, 'other')
      await untilCached(store, 'cached')
    })

    test.serial(title('a half-open connection leaves no call without an answer'), async (t) => {
      const { server, proxy } = await startBehindProxy(t, binary)
      const store = await openWarmStore(t, proxy.url, { library })
      const tied = await readSession(store, 'cached')
      proxy.freeze()
      assertUnavailable(t, await callAll(t, store, tied))
      await assertKnownToBeDown(t, store, tied)
      await server.command('SET', 'sess:cached', JSON.stringify(newSession({ n: 'foreign' })))
      t.is((await store.get('cached').catch((err) => err)).code, 'ERR_MEMORYSTORE_UNAVAILABLE')
      proxy.thaw()
      await eventually(() => store.length())
      await assertRight(t, store, server, 'cached')
      await untilCached(store, 'cached')
    })

    test.serial(title('a server that is gone leaves no call without an answer'), async (t) => {
      const server = await start(t, binary)
      const store = await openWarmStore(t, server.url, { library })
      const tied = await readSession(store, 'cached')
      await server.kill()
      await assertKnownToBeDown(t, store, tied)
    })

    test.serial(title('a server that is not there yet is found when it is'), async (t) => {
      const server = await start(t, binary)
      await server.kill()
      const store = openStore(t, server.url, { library, timeout: TIMEOUT })
      const tied = newSession()
      assertUnavailable(t, await callAll(t, store, tied))
      await assertKnownToBeDown(t, store, tied)
      await server.restart()
      await eventually(() => store.set('cached', newSession({ n: 1 })))
      t.deepEqual(await valuesOf(store, 'cached'), { n: 1 })
      await untilCached(store, 'cached')
    })

    test.serial(
      title('a server that never answers a new connection is one that is down'),
      async (t) => {
        const { proxy } = await startBehindProxy(t, binary)
        proxy.freeze()
        const store = openStore(t, proxy.url, { library, timeout: TIMEOUT })
        assertUnavailable(t, await callAll(t, store, newSession()))
        proxy.thaw()
        await eventually(() => store.set('cached', newSession({ n: 1 })))
        t.deepEqual(await valuesOf(store, 'cached'), { n: 1 })
      },
    )

    test.serial(
      title('a server that was restarted empty has nobody, and logs nobody in'),
      async (t) => {
        const server = await start(t, binary)
        const store = await openWarmStore(t, server.url, { library })
        const tied = await readSession(store, 'cached')
        await server.restart()
        t.is(await eventually(() => store.get('cached')), undefined)
        tied.n = 2
        await eventually(() => store.set('cached', tied))
        await eventually(() => store.touch('cached', tied))
        tied.cookie.path = '/elsewhere'
        await eventually(() => store.touch('cached', tied))
        t.is(await eventually(() => store.get('cached')), undefined)
        t.is(await server.command('EXISTS', 'sess:cached'), 0)
        t.is(store.stats().refusedWrites, 1)
        // Those who come now are served as ever.
        await eventually(() => store.set('cached', newSession({ n: 3 })))
        await untilCached(store, 'cached')
      },
    )

    test.serial(
      title('what was cached is forgotten with a connection that was killed'),
      async (t) => {
        const { server, proxy } = await startBehindProxy(t, binary)
        const store = await openWarmStore(t, proxy.url, { library })
        const kinds = ['NORMAL', 'PUBSUB']
        for (let n = 2; n < 8; n++) {
          // That it changes and that it is gone are told at once, or in the wrong order.
          proxy.delay(n % 3 === 0 ? HOUR : 0)
          await server.command('SET', 'sess:cached', JSON.stringify(newSession({ n })))
          await server.command('CLIENT', 'KILL', 'TYPE', kinds[n % 2])
          proxy.delay(0)
          await until(async () => (await eventually(() => store.get('cached'))).n === n)
          await untilCached(store, 'cached')
          t.is((await eventually(() => store.get('cached'))).n, n)
        }
      },
    )

    test.serial(title('connections that are cut again and again keep nothing stale'), async (t) => {
      const { server, proxy } = await startBehindProxy(t, binary)
      const store = await openWarmStore(t, proxy.url, { library })
      for (let n = 2; n < 12; n++) {
        proxy.cut()
        await server.command('SET', 'sess:cached', JSON.stringify(newSession({ n })))
        await until(async () => (await eventually(() => store.get('cached'))).n === n)
      }
      await untilCached(store, 'cached')
      t.is((await eventually(() => store.get('cached'))).n, 11)
    })

    test.serial(title('FLUSHALL logs everybody out for good'), async (t) => {
      const server = await start(t, binary)
      const store = await openWarmStore(t, server.url, { library, timeout: PATIENCE })
      const tied = await readSession(store, 'cached')
      await server.command('FLUSHALL')
      await until(async () => (await eventually(() => store.get('cached'))) === undefined)
      tied.n = 2
      await eventually(() => store.set('cached', tied))
      t.is(await eventually(() => store.get('cached')), undefined)
      t.is(await server.command('DBSIZE'), 0)
      t.is(store.stats().refusedWrites, 1)
    })

    test.serial(title('a server that has forgotten the scripts is given them again'), async (t) => {
      const server = await start(t, binary)
      const store = openStore(t, server.url, { library, timeout: PATIENCE, dispose: () => {} })
      const flush = () => server.command('SCRIPT', 'FLUSH')
      await store.set('a', newSession({ n: 1 }))
      await flush()
      t.deepEqual(await valuesOf(store, 'a'), { n: 1 })
      const tied = await readSession(store, 'a')
      tied.n = 2
      await flush()
      await store.set('a', tied)
      tied.cookie.maxAge = 2 * HOUR
      await flush()
      await store.touch('a', tied)
      tied.cookie.path = '/elsewhere'
      await flush()
      await store.touch('a', tied)
      await flush()
      const { a } = await store.all()
      t.is(a.n, 2)
      t.is(a.cookie.path, '/elsewhere')
      await flush()
      await store.set('b', newSession({ n: 3 }))
      await flush()
      await store.destroy('a')
      t.deepEqual(await store.ids(), ['b'])
      t.deepEqual(await valuesOf(store, 'b'), { n: 3 })
    })

    test.serial(title('a session that was evicted is gone, and does not come back'), async (t) => {
      const policy = ['--maxmemory-policy', 'allkeys-lru', '--maxmemory-samples', 20]
      const server = await start(t, binary, policy)
      const store = await openWarmStore(t, server.url, { library, timeout: PATIENCE })
      const tied = await readSession(store, 'cached')
      const used = async () => /used_memory:(\d+)/.exec(await server.command('INFO', 'memory'))[1]
      await server.command('CONFIG', 'SET', 'maxmemory', Number(await used()) + 500_000)
      const filler = 'x'.repeat(10_000)
      for (let n = 0; await server.command('EXISTS', 'sess:cached'); n++) {
        await server.command('SET', `filler:${n}`, filler)
      }
      await until(async () => (await store.get('cached')) === undefined)
      tied.n = 2
      await store.set('cached', tied)
      t.is(await store.get('cached'), undefined)
      t.is(store.stats().refusedWrites, 1)
      await store.set('another', newSession({ n: 3 }))
      t.deepEqual(await valuesOf(store, 'another'), { n: 3 })
    })

    test.serial(
      title('a server that is full refuses writes, and serves what it has'),
      async (t) => {
        const server = await start(t, binary)
        const store = await openWarmStore(t, server.url, { library, timeout: PATIENCE })
        await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
        await server.command('CONFIG', 'SET', 'maxmemory', 1)
        const tied = await readSession(store, 'cached')
        tied.n = 2
        for (const write of [
          () => store.set('cached', tied),
          () => store.set('new', newSession()),
          () => store.destroy('cached'),
        ]) {
          const error = await t.throwsAsync(write, { code: 'ERR_MEMORYSTORE_REFUSED' })
          t.regex(error.message, /OOM/)
          t.regex(error.cause.message, /^OOM/)
        }
        await until(async () => (await eventually(() => store.get('cached'))).n === 1)
        await server.command('CONFIG', 'SET', 'maxmemory', 0)
        await store.set('cached', tied)
        t.deepEqual(await valuesOf(store, 'cached'), { n: 2 })
      },
    )

    test.serial(title('by default nothing is served while the server is away'), async (t) => {
      const server = await start(t, binary)
      const store = await openWarmStore(t, server.url, { library })
      await server.kill()
      await until(() => store.get('cached').then(() => false, isUnavailable))
      t.pass()
    })

    test(
      title('staleIfError serves what was read, for so long, and takes no writes'),
      async (t) => {
        const server = await start(t, binary)
        const options = { library, maxStale: 50, staleIfError: HOUR }
        const store = await openWarmStore(t, server.url, options)
        const brief = await openWarmStore(t, server.url, { ...options, staleIfError: 300 })
        const tied = await readSession(store, 'cached')
        await store.set('ended', newSession())
        await untilCached(store, 'ended')
        await server.kill()
        await until(() => store.get('other').then(() => false, isUnavailable))

        t.deepEqual(await valuesOf(store, 'cached'), { n: 1 })
        await t.throwsAsync(store.get('other'), { code: 'ERR_MEMORYSTORE_UNAVAILABLE' })
        tied.n = 2
        const writes = {
          set: () => store.set('cached', tied),
          touch: () => store.touch('cached', newSession()),
          destroy: () => store.destroy('cached'),
          clear: () => store.clear(),
        }
        for (const [name, write] of Object.entries(writes)) {
          await t.throwsAsync(write, { code: 'ERR_MEMORYSTORE_UNAVAILABLE' }, name)
        }
        t.deepEqual(await valuesOf(store, 'cached'), { n: 1 })
        await until(() => brief.get('cached').then(() => false, isUnavailable))

        await server.restart()
        await until(async () => (await store.get('cached').catch(() => true)) === undefined)
        t.is(await eventually(() => store.get('ended')), undefined)
        await server.kill()
        await until(() => store.get('cached').then(() => false, isUnavailable))
      },
    )

    test.serial(title('staleIfError does not serve what this process has destroyed'), async (t) => {
      const { proxy } = await startBehindProxy(t, binary)
      const store = await openWarmStore(t, proxy.url, { library, staleIfError: HOUR })
      proxy.freeze()
      // It may have been done.
      await t.throwsAsync(store.destroy('cached'))
      await t.throwsAsync(store.get('cached'))
    })

    test.serial(title('what a write that got no answer left stored is what is read'), async (t) => {
      const { server, proxy } = await startBehindProxy(t, binary)
      const store = await openWarmStore(t, proxy.url, { library })
      for (let n = 2; n < 8; n++) {
        const tied = await eventually(() => readSession(store, 'cached'))
        tied.n = n
        // Held on its way there, or on its way back.
        if (n % 2 === 0) proxy.freeze()
        else await server.stop()
        await t.throwsAsync(store.set('cached', tied))
        if (n % 2 === 0) proxy.thaw()
        else server.cont()
        await eventually(() => store.length())
        await untilQuiet(proxy)
        const stored = JSON.parse(await server.command('GET', 'sess:cached'))
        await until(async () => (await eventually(() => store.get('cached'))).n === stored.n)
        await untilCached(store, 'cached')
        t.is((await eventually(() => store.get('cached'))).n, stored.n)
      }
    })

    test.serial(title('no error of a library or a system is taken for "no session"'), async (t) => {
      const path = '/there/is/no/such.sock'
      const client =
        library === 'ioredis'
          ? LIBRARIES.ioredis.open(path)
          : LIBRARIES['node-redis'].open(undefined, { socket: { path } })
      const store = openStore(t, undefined, { client })
      await until(async () => {
        const error = await t.throwsAsync(store.get('a'), { code: 'ERR_MEMORYSTORE_UNAVAILABLE' })
        return error.cause?.code === 'ENOENT'
      })
    })

    test.serial(title('the client of the user stays open when the store is closed'), async (t) => {
      const server = await start(t, binary)
      const client = await connectClient(t, server.url, library)
      const store = openStore(t, server.url, { client })
      await eventually(() => store.set('a', newSession()))
      await store.close()
      t.is(await client.get('sess:other'), null)
      t.is((await server.command('CLIENT', 'LIST', 'TYPE', 'normal')).match(/laddr=127/g).length, 1)
      await until(async () => {
        const channels = await server.command('CLIENT', 'LIST', 'TYPE', 'pubsub')
        return channels === ''
      })
      await t.throwsAsync(store.get('a'), { code: 'ERR_MEMORYSTORE_CLOSED' })
    })

    test.serial(
      title('a store that is closed while the server is away ends its calls'),
      async (t) => {
        const { proxy } = await startBehindProxy(t, binary)
        const store = await openWarmStore(t, proxy.url, { library })
        proxy.freeze()
        const calls = [store.get('other'), store.set('new', newSession()), store.destroy('other')]
        const results = Promise.allSettled(calls)
        await store.close()
        for (const { reason } of await results) t.regex(reason.code, /UNAVAILABLE|TIMEOUT/)
      },
    )

    const CHILD = `
      const session = require('express-session')
      const MemoryStore = require('.')(session)
      const { LIBRARIES, newSession } = require('./__test__/helpers/redis-stores.js')
      const { url, library, timeout } = JSON.parse(process.env.WITH)
      // Nobody listens to the errors of this client.
      const open = () => new MemoryStore({ redis: LIBRARIES[library].open(url), timeout })
      const print = (value) => console.log(JSON.stringify(value))`

    const withEnv = (values) => ({
      env: { WITH: JSON.stringify({ library, timeout: TIMEOUT, ...values }) },
    })

    test.serial(title('a process that only has an open store ends by itself'), async (t) => {
      const { server, proxy } = await startBehindProxy(t, binary)
      const used = `${CHILD}
        const store = open()
        store.set('a', newSession({ n: 1 })).then(() => store.get('a')).then(({ n }) => print(n))`
      t.is(await succeed(t, used, withEnv({ url: server.url, timeout: PATIENCE })), 1)
      const unused = `${CHILD}
        open()`
      await succeed(t, unused, withEnv({ url: server.url }))
      const failing = `${CHILD}
        open().get('a').catch(({ code }) => print(code))`
      proxy.freeze()
      t.is(await succeed(t, failing, withEnv({ url: proxy.url })), 'ERR_MEMORYSTORE_TIMEOUT')
      await succeed(t, unused, withEnv({ url: proxy.url }))
      await server.kill()
      t.is(await succeed(t, failing, withEnv({ url: server.url })), 'ERR_MEMORYSTORE_UNAVAILABLE')
      await succeed(t, unused, withEnv({ url: server.url }))
    })

    test.serial(
      title('neither errors nor the log show a sid or anything of a session'),
      async (t) => {
        const [sid, secret] = ['very-sid', 'very-secret']
        const shown = []

        /** Has the store fail in all that it does, and notes what it tells. */
        async function fail(store) {
          const tied = store.createSession(
            { sessionID: sid, sessionStore: store },
            newSession({ secret, changed: 1 }),
          )
          for (const call of [
            () => store.get(sid),
            () => store.set(sid, tied),
            () => store.set(sid, newSession({ secret })),
            () => store.touch(sid, newSession({ secret })),
            () => store.all(),
            () => store.destroy(sid),
          ]) {
            await call().catch((err) => shown.push(inspect(err, { depth: 10, showHidden: true })))
          }
        }
        const options = { library, timeout: TIMEOUT, dispose: () => {}, destroyed: 'final' }

        // The server quotes what it was sent when it does not know a command.
        for (const name of ['EVALSHA', 'SCAN', 'GETEX', 'UNLINK']) {
          const server = await start(t, binary, ['--rename-command', name, ''])
          await fail(openStore(t, server.url, options))
        }
        for (const acl of [
          '~other:* +@all',
          '~sess:* +@all -evalsha',
          '~sess:* +@all -get -getex -set -unlink -scan',
          '~sess:* -@all +hello +client',
        ]) {
          const server = await startServer({ binary, acl })
          t.teardown(() => server.kill())
          await fail(openStore(t, server.url, options))
        }
        const { server, proxy } = await startBehindProxy(t, binary)
        const store = openStore(t, proxy.url, options)
        await server.command('HSET', `sess:${sid}`, secret, secret)
        await fail(store)
        await server.command('SET', `sess:${sid}`, `{"${secret}`)
        await fail(store)
        await server.command('CONFIG', 'SET', 'maxmemory', 1)
        await fail(store)
        await server.command('CONFIG', 'SET', 'maxmemory', 0)
        proxy.freeze()
        await fail(store)
        proxy.cut()
        await fail(store)
        await server.kill()
        proxy.thaw()
        await fail(store)

        t.true(shown.length > 40, `${shown.length}`)
        for (const text of [...shown, ...log]) t.notRegex(text, /very-/)
        t.true(log.some((line) => / GET [0-9a-f]{8}/.test(line)))
      },
    )
  }

  test.serial(
    'a server that is slow to answer is not taken for one that cannot track',
    async (t) => {
      const { server, proxy } = await startBehindProxy(t, binary)
      const warnings = watchWarnings(t)
      for (let n = 0; n < 5; n++) {
        const store = openStore(t, proxy.url, { timeout: 30 })
        await eventually(() => store.length())
        proxy.freeze()
        await until(() => store.length().then(() => false, isUnavailable))
        proxy.thaw()
        await eventually(() => store.set('a', newSession()))
        await untilCached(store, 'a')
      }
      t.deepEqual(warnings, [])
      t.true(server.isUp())
    },
  )

  test.serial('a server that is full when a store opens is asked again if it tracks', async (t) => {
    const server = await start(t, binary)
    const warnings = watchWarnings(t)
    await server.command('SET', 'sess:cached', JSON.stringify(newSession()))
    await server.command('CONFIG', 'SET', 'maxmemory', 1)
    const store = openStore(t, server.url)
    await eventually(() => store.get('cached'))
    await until(async () => /cmdstat_set:.*rejected_calls=2/.test(await commandStats(server)))
    await server.command('CONFIG', 'SET', 'maxmemory', 0)
    await untilCached(store, 'cached')
    t.deepEqual(warnings, [])
  })

  test.serial('an account that may not track is told of, once, and the server asked', async (t) => {
    for (const [n, acl] of [RULES.replace(' +client|tracking', ''), `${RULES} -set`].entries()) {
      const server = await startServer({ binary, acl })
      t.teardown(() => server.kill())
      const warnings = watchWarnings(t)
      const store = openStore(t, server.url)
      await server.command('SET', 'sess:a', JSON.stringify(newSession({ n })))
      t.deepEqual(await valuesOf(store, 'a'), { n })
      await until(() => warnings.length > 0)
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal')
      t.deepEqual(await valuesOf(store, 'a'), { n })
      await server.command('SET', 'sess:a', JSON.stringify(newSession({ n: 'foreign' })))
      t.deepEqual(await valuesOf(store, 'a'), { n: 'foreign' })
      t.deepEqual(warnings, ['MEMORYSTORE_RS_NO_TRACKING'])
      t.is(store.stats().cacheHits, 0)
    }
  })
})

/** The codes of the process warnings from now on. */
function watchWarnings(t) {
  const warnings = []
  const note = ({ code }) => warnings.push(code)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  return warnings
}

function commandStats(server) {
  return server.command('INFO', 'commandstats')
}

function isUnavailable({ code }) {
  return code === 'ERR_MEMORYSTORE_UNAVAILABLE' || code === 'ERR_MEMORYSTORE_TIMEOUT'
}

/** Waits until nothing is under way in the network. */
async function untilQuiet(proxy) {
  await until(() => proxy.held() === 0)
}
