'use strict'

/**
 * How old what is read may be: never older than a write that was answered before the request came,
 * where the network works, and never older than `maxStale` where it does not.
 */

const { once } = require('node:events')
const { createServer } = require('node:http')
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')
const { Worker } = require('node:worker_threads')
const { onEachServer } = require('../helpers/on-each-server.js')
const { startProxy } = require('../helpers/proxy.js')
const { startServer } = require('../helpers/redis-servers.js')
const {
  HOUR,
  LIBRARIES,
  eventually,
  newSession,
  openStore,
  readSession,
  untilCached,
} = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

const WRITER = join(__dirname, '../helpers/redis-writer.js')

const READS = 250

async function start(t, binary) {
  const server = await startServer({ binary })
  t.teardown(() => server.kill())
  const proxy = await startProxy(server.port)
  t.teardown(() => proxy.close())
  return { server, proxy }
}

onEachServer((test, { binary }) => {
  for (const library of Object.keys(LIBRARIES)) {
    const title = (text) => `${library}: ${text}`

    test.serial(title('a held-up event loop serves no request what had changed'), async (t) => {
      const { server } = await start(t, binary)
      const store = openStore(t, server.url, { library })
      await eventually(() => store.set('sid', newSession({ n: 0 })))
      await untilCached(store, 'sid')

      let stale = 0
      let over
      const reader = createServer((req, res) => {
        store.get('sid', (err, session) => {
          if (err || session.n < Number(req.url.slice(1))) stale++
          res.end()
          // It is cached again before the next write.
          store.get('sid', over)
        })
      })
      reader.keepAliveTimeout = 0
      reader.listen(0, '127.0.0.1')
      await once(reader, 'listening')
      t.teardown(() => {
        reader.close()
        reader.closeAllConnections()
      })
      const told = new Int32Array(new SharedArrayBuffer(4))
      const { port } = reader.address()
      const writer = new Worker(WRITER, { workerData: { url: server.url, port, told } })
      t.teardown(() => writer.terminate())
      await once(writer, 'message')
      for (let n = 1; n <= READS; n++) {
        const isOver = new Promise((resolve) => (over = resolve))
        writer.postMessage(n)
        // Here the event loop stands still: the request and the news of the write both wait.
        t.not(Atomics.wait(told, 0, n - 1, HOUR), 'timed-out')
        await isOver
      }
      t.is(stale, 0)
    })

    test.serial(title('a half-open connection serves nothing older than maxStale'), async (t) => {
      const { server, proxy } = await start(t, binary)
      const maxStale = 100
      // So long that it is not the heartbeat that ends it.
      const store = openStore(t, proxy.url, { library, maxStale, timeout: HOUR })
      await eventually(() => store.set('sid', newSession({ n: 1 })))
      await untilCached(store, 'sid')
      for (let n = 2; n < 6; n++) {
        proxy.freeze()
        await server.command('SET', 'sess:sid', JSON.stringify(newSession({ n })))
        const changedAt = performance.now()
        let last = 0
        for (let isServed = true; isServed;) {
          const beganAt = performance.now()
          isServed = await isServedAtOnce(store, 'sid')
          if (isServed) last = beganAt - changedAt
          await delay(1)
        }
        // What is served was asked for in time; the rest waits for the server.
        t.true(last < maxStale, `${last} ms after the change`)
        proxy.thaw()
        await until(async () => (await store.get('sid')).n === n)
        await untilCached(store, 'sid')
      }
    })

    test.serial(title('with maxStale 0 the server is asked on every read'), async (t) => {
      const { server } = await start(t, binary)
      const store = openStore(t, server.url, { library, maxStale: 0 })
      await eventually(() => store.set('sid', newSession({ n: 0 })))
      for (let n = 1; n < 50; n++) {
        await server.command('SET', 'sess:sid', JSON.stringify(newSession({ n })))
        t.is((await store.get('sid')).n, n)
      }
      t.is(store.stats().cacheHits, 0)
    })

    test.serial(title('with maxStale 0 nothing is tracked'), async (t) => {
      const { server } = await start(t, binary)
      const store = openStore(t, server.url, { library, maxStale: 0 })
      await eventually(() => store.get('sid'))
      t.notRegex(await server.command('CLIENT', 'LIST'), /flags=\S*t/)
    })
  }

  for (const destroyed of ['forgotten', 'final']) {
    test.serial(
      `a change right behind an own write is not taken for it (${destroyed})`,
      async (t) => {
        const { server } = await start(t, binary)
        const store = openStore(t, server.url, { destroyed })
        const update = async (sid, change) => {
          const session = await readSession(store, sid)
          change(session)
          return session
        }
        const writes = {
          create: async (sid) => () => store.set(sid, newSession({ n: 1 })),
          write: async (sid) => {
            const session = await update(sid, (session) => (session.n = 1))
            return () => store.set(sid, session)
          },
          touch: async (sid) => {
            const session = await update(sid, ({ cookie }) => (cookie.path = '/elsewhere'))
            return () => store.touch(sid, session)
          },
          renew: async (sid) => {
            const session = newSession()
            session.cookie = (await store.get(sid)).cookie
            return () => store.touch(sid, session)
          },
        }
        const foreign = JSON.stringify(newSession({ n: 'foreign' }))
        let inOrder = 0
        for (const [name, prepare] of Object.entries(writes)) {
          for (const isKnown of [false, true]) {
            const sid = `${name}-${isKnown}`
            if (isKnown || name !== 'create') {
              await eventually(() => store.set(sid, newSession({ n: 0 })))
              await untilCached(store, sid)
            }
            const write = await prepare(sid)
            // From here on the server knows the script.
            await store.set('other', newSession())
            await server.stop()
            const written = write()
            // That it is sent.
            await delay(5)
            const changed = server.command('SET', `sess:${sid}`, foreign)
            await delay(5)
            server.cont()
            await Promise.all([written, changed])
            const stored = JSON.parse(await server.command('GET', `sess:${sid}`))
            // What the server had told has been heard when it answers.
            await store.destroy('none')
            t.is((await store.get(sid)).n, stored.n, sid)
            if (stored.n === 'foreign') inOrder++
          }
        }
        t.log(`${inOrder} of 8 in this order`)
      },
    )
  }

  test.serial('what is cached of a session ends with it', async (t) => {
    const { server, proxy } = await start(t, binary)
    const store = openStore(t, proxy.url, { maxStale: HOUR, timeout: HOUR })
    await eventually(() => store.set('sid', newSession({}, HOUR)))
    await untilCached(store, 'sid')
    // The answer is on its way for longer than the session lives.
    await server.command('PEXPIRE', 'sess:sid', 300)
    await until(async () => {
      proxy.delay(100)
      await store.get('sid')
      proxy.delay(0)
      return (await store.get('sid')) === undefined
    })
    t.is(await server.command('EXISTS', 'sess:sid'), 0)
  })
})

/** Whether the session is served within a few turns of the event loop, without the server. */
async function isServedAtOnce(store, sid) {
  let isServed = false
  store.get(sid).then(
    () => (isServed = true),
    () => {},
  )
  for (let n = 0; n < 5 && !isServed; n++) await new Promise((resolve) => setImmediate(resolve))
  return isServed
}
