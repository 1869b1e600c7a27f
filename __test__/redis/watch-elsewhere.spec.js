'use strict'

// `watch` on Redis hears of what other stores do, and the server by itself.

const { hastily, ticks } = require('../helpers/hastily.js')
const { onEachServer } = require('../helpers/on-each-server.js')
const { startProxy } = require('../helpers/proxy.js')
const { startServer } = require('../helpers/redis-servers.js')
const {
  HOUR,
  LIBRARIES,
  eventually,
  newSession,
  openStore,
  untilCached,
} = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

/** Watches the sessions. Returns the sids of those that have ended, in order. */
function watchAll(store, sids) {
  const ended = []
  hastily(() => sids.forEach((sid) => store.watch(sid, () => ended.push(sid))))
  return ended
}

async function someTicks() {
  const before = ticks()
  await until(() => ticks() > before + 3)
}

onEachServer((test, { binary }) => {
  const start = async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    return server
  }

  for (const library of Object.keys(LIBRARIES)) {
    test(`a session ends however that comes about; ${library}`, async (t) => {
      const server = await start(t)
      const [store, other] = [0, 1].map(() => openStore(t, server.url, { library }))
      const sids = ['destroyed', 'expired', 'deleted', 'cleared']
      for (const sid of sids) await store.set(sid, newSession())
      await untilCached(store, 'destroyed')
      const ended = watchAll(store, sids)
      await other.destroy('destroyed')
      await until(() => ended.length === 1)
      await server.command('PEXPIRE', 'sess:expired', 1)
      await until(() => ended.length === 2)
      await server.command('DEL', 'sess:deleted')
      await until(() => ended.length === 3)
      await other.clear()
      await until(() => ended.length === 4)
      t.deepEqual(ended, sids)
    })
  }

  test.serial('nothing is asked about sessions in the near-cache', async (t) => {
    const server = await start(t)
    const store = openStore(t, server.url, { maxStale: HOUR, timeout: HOUR })
    await store.set('a', newSession())
    await untilCached(store, 'a')
    const ended = watchAll(store, ['a'])
    await someTicks()
    t.false((await server.command('INFO', 'commandstats')).includes('cmdstat_exists:'))
    t.deepEqual(ended, [])
    await server.command('DEL', 'sess:a')
    await until(() => ended.length === 1)
    t.true((await server.command('INFO', 'commandstats')).includes('cmdstat_exists:'))
  })

  test.serial('a network that is down is no end', async (t) => {
    const server = await start(t)
    const proxy = await startProxy(server.port)
    t.teardown(() => proxy.close())
    const store = openStore(t, proxy.url, { maxStale: 0, timeout: 100 })
    for (const sid of ['a', 'b']) await eventually(() => store.set(sid, newSession()))
    const ended = watchAll(store, ['a', 'b'])
    await someTicks()
    proxy.freeze()
    await server.command('DEL', 'sess:a')
    await someTicks()
    proxy.thaw()
    await until(() => ended.length > 0)
    proxy.refuse()
    proxy.cut()
    await someTicks()
    t.deepEqual(ended, ['a'])
    await proxy.accept()
    await server.command('DEL', 'sess:b')
    await until(() => ended.length > 1)
    t.deepEqual(ended, ['a', 'b'])
  })

  test('the tombstone of a session is no session', async (t) => {
    const server = await start(t)
    const store = openStore(t, server.url)
    await store.set('a', newSession())
    await store.destroy('a')
    const [tombstone] = await server.command('KEYS', '*')
    const ended = watchAll(store, [tombstone.replace('sess:', '')])
    await until(() => ended.length === 1)
    t.pass()
  })
})
