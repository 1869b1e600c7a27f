'use strict'

/** Whose the sessions are, in a cluster: there the lists are on other servers than the sessions. */

const ioredis = require('ioredis')
const redis = require('redis')
const { onEachServer } = require('../helpers/on-each-server.js')
const { randomOf } = require('../helpers/processes.js')
const { startCluster } = require('../helpers/redis-servers.js')
const {
  HOUR,
  eventually,
  newSession,
  openStore,
  readSession,
} = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

const CLUSTERS = {
  'node-redis': ({ urls }) => redis.createCluster({ rootNodes: urls.map((url) => ({ url })) }),
  ioredis: ({ urls }) => new ioredis.Cluster(urls, { lazyConnect: true }),
}

/** What the servers and the network may take, in milliseconds. */
const SLACK = 60_000

async function start(t, binary) {
  const cluster = await startCluster(3, { binary })
  t.teardown(() => cluster.kill())
  return cluster
}

/** A store that has a connection. */
async function open(t, cluster, { library = 'node-redis', ...options } = {}) {
  const client = CLUSTERS[library](cluster)
  const store = openStore(t, undefined, { client, user: 'user', timeout: SLACK, ...options })
  await eventually(() => store.length())
  return store
}

const adas = (n) => newSession({ user: 'ada', n })

onEachServer((test, { binary }) => {
  test.serial('a cluster lists, ends and limits as one server does', async (t) => {
    const cluster = await start(t, binary)
    for (const library of Object.keys(CLUSTERS)) {
      const prefix = `${library}:`
      const store = await open(t, cluster, { library, prefix })
      const sids = Array.from({ length: 200 }, (_, i) => `sid${i}`)
      await Promise.all(sids.map((sid, i) => store.set(sid, adas(i))))
      t.is((await store.sessionsOf('ada')).length, 200)
      t.is(await store.length(), 200, 'the index is not listed')
      const [mine, theirs] = [await readSession(store, 'sid1'), await readSession(store, 'sid2')]
      t.is(await store.destroyUser('ada', { except: 'sid7' }), 199)
      mine.late = true
      await store.set('sid1', mine)
      await store.touch('sid2', theirs)
      t.deepEqual(await store.ids(), ['sid7'], 'nothing comes back')
      t.is((await store.sessionsOf('ada')).length, 1)

      const session = await readSession(store, 'sid7')
      session.user = 'bob'
      await store.set('sid7', session)
      t.deepEqual(await store.sessionsOf('ada'), [])
      t.is(await store.destroyUser('ada'), 0)
      t.is((await store.sessionsOf('bob')).length, 1)
      await store.destroy('sid7')
      await store.set('sid7', newSession({ user: 'bob' }))
      t.is((await store.sessionsOf('bob')).length, 1, 'it is listed again')
      t.is(await store.destroyUser('bob'), 1)
    }
  })

  test.serial('in a cluster the limit holds when all logins are answered', async (t) => {
    const cluster = await start(t, binary)
    const disposed = []
    const dispose = (_sid, _body, reason) => disposed.push(reason)
    const options = { maxPerUser: 3, dispose }
    const stores = await Promise.all([1, 2, 3, 4].map(() => open(t, cluster, options)))
    for (let round = 0; round < 10; round++) {
      await Promise.all(stores.map((store, i) => store.set(`sid-${round}-${i}`, adas(i))))
      const { length } = await stores[0].sessionsOf('ada')
      t.true(length >= 1 && length <= 3, `${length} in round ${round}`)
    }
    t.deepEqual([...new Set(disposed)], ['limit'])
    const refusing = await open(t, cluster, { maxPerUser: 1, whenFull: 'refuse' })
    await refusing.set('bob1', newSession({ user: 'bob' }))
    await refusing.set('bob1', newSession({ user: 'bob' }))
    const full = { code: 'ERR_MEMORYSTORE_USER_FULL' }
    await t.throwsAsync(refusing.set('bob2', newSession({ user: 'bob' })), full)
    t.is((await refusing.sessionsOf('bob')).length, 1)
    const all = await Promise.all(
      [1, 2, 3, 4].map(() => open(t, cluster, { maxPerUser: 2, whenFull: 'refuse' })),
    )
    for (let round = 0; round < 10; round++) {
      const user = `eve${round}`
      const logins = all.map((store, i) => store.set(`${user}-${i}`, newSession({ user })))
      const results = await Promise.allSettled(logins)
      const { length } = await refusing.sessionsOf(user)
      t.is(length, results.filter(({ status }) => status === 'fulfilled').length)
      t.true(length >= 1 && length <= 2, `${length} in round ${round}`)
    }
  })

  test.serial('in a cluster each list has what the sessions say, after any calls', async (t) => {
    const cluster = await start(t, binary)
    const random = randomOf(t)
    const stores = [
      await open(t, cluster),
      await open(t, cluster),
      await open(t, cluster, { library: 'ioredis' }),
    ]
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
    const uncached = await open(t, cluster, { maxStale: 0 })
    for (let round = 0; round < 40; round++) {
      await Promise.all(Array.from({ length: 10 }, step))
      const sessions = await Promise.all(sids.map((sid) => uncached.get(sid)))
      for (const user of users.slice(1)) {
        const count = sessions.filter((session) => session && session.user === user).length
        t.is((await pick(stores).sessionsOf(user)).length, count)
      }
    }
  })

  test.serial('in a cluster with a prefix in a hash tag the limit holds at any time', async (t) => {
    const cluster = await start(t, binary)
    const options = { maxPerUser: 2, prefix: '{sess}:' }
    const stores = await Promise.all([1, 2, 3].map(() => open(t, cluster, options)))
    const owner = await cluster.ownerOf('{sess}:')
    let isOver = false
    const watch = async () => {
      let most = 0
      while (!isOver) {
        const keys = await owner.command('KEYS', '{sess}:*')
        const count = keys.filter((key) => /^\{sess\}:sid-\d+-\d+$/.test(key)).length
        most = Math.max(most, count)
      }
      return most
    }
    const watched = watch()
    for (let n = 0; n < 50; n++) {
      await Promise.all(stores.map((store, i) => store.set(`sid-${n}-${i}`, adas(n))))
    }
    isOver = true
    t.is(await watched, 2)
    t.is((await stores[0].sessionsOf('ada')).length, 2)
    t.is(await stores[1].length(), 2)
    t.is(await stores[1].destroyUser('ada'), 2)
  })

  test.serial('in a cluster the lifetime holds', async (t) => {
    const cluster = await start(t, binary)
    const store = await open(t, cluster, { lifetime: HOUR, touchAfter: 0 })
    await store.set('sid', newSession({ user: 'ada' }, 100 * HOUR))
    const owner = await cluster.ownerOf('sess:sid')
    const left = await owner.command('PTTL', 'sess:sid')
    t.true(left <= HOUR)
    const session = await readSession(store, 'sid')
    session.cookie.maxAge = 50 * HOUR
    await store.touch('sid', session)
    t.true((await owner.command('PTTL', 'sess:sid')) <= left)
  })

  test.serial('a server that goes between list and session leaves none unlisted', async (t) => {
    const cluster = await start(t, binary)
    const first = await open(t, cluster)
    await first.set('first', adas(0))
    for (const [i, node] of cluster.nodes.entries()) {
      const store = await open(t, cluster, { timeout: 500 })
      await node.stop()
      const logins = Array.from({ length: 60 }, (_, j) => store.set(`sid-${i}-${j}`, adas(j)))
      const results = await Promise.allSettled(logins)
      t.true(results.some(({ status }) => status === 'rejected'))
      await store.close()
      node.cont()
      await until(async () => {
        const infos = await Promise.all(cluster.nodes.map((one) => one.command('CLUSTER', 'INFO')))
        return infos.every((info) => info.includes('cluster_state:ok'))
      })
    }
    const count = await eventually(() => first.length())
    t.true(count > 60)
    t.is((await eventually(() => first.sessionsOf('ada'))).length, count)
    t.is(await eventually(() => first.destroyUser('ada')), count)
    t.is(await first.length(), 0)
  })
})
