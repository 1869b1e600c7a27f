'use strict'

// The figures of the near-cache as metrics.

const prometheus = require('prom-client')
const session = require('express-session')
const { createClient } = require('redis')
const MemoryStore = require('../..')(session)
const { collectStoreMetrics } = require('../../prometheus.js')
const { onEachServer } = require('../helpers/on-each-server.js')
const { startServer } = require('../helpers/redis-servers.js')
const { until } = require('../helpers/until.js')

onEachServer((test, { binary }) => {
  test('metrics have the figures of the near-cache, for stores that have one', async (t) => {
    const server = await startServer({ binary })
    const stores = {
      redis: new MemoryStore({ redis: createClient({ url: server.url }) }),
      memory: new MemoryStore(),
    }
    t.teardown(async () => {
      await stores.redis.close()
      await server.kill()
    })
    const register = new prometheus.Registry()
    for (const [kind, store] of Object.entries(stores)) {
      collectStoreMetrics(store, { client: prometheus, register, labels: { kind } })
    }
    await stores.redis.set('sid', { cookie: {} })
    await until(async () => {
      await stores.redis.get('sid')
      return stores.redis.stats().cacheHits > 0
    })

    const { cacheHits, cacheMisses, invalidations, roundTrips } = stores.redis.stats()
    const expected = {
      memorystore_cache_hits_total: cacheHits,
      memorystore_cache_misses_total: cacheMisses,
      memorystore_invalidations_total: invalidations,
      memorystore_round_trips_total: roundTrips,
    }
    for (const [name, value] of Object.entries(expected)) {
      const { values } = await register.getSingleMetric(name).get()
      t.deepEqual(
        values.map(({ labels, value }) => [labels.kind, value]),
        [['redis', value]],
        name,
      )
    }
  })
})
