'use strict'

/** Links to the master that sentinels name, through all libraries. */

const { onEachServer } = require('../helpers/on-each-server.js')
const { LIBRARIES, linked } = require('../helpers/redis-clients.js')
const { startSentinel } = require('../helpers/redis-servers.js')
const { until } = require('../helpers/until.js')

onEachServer((test, { binary }) => {
  for (const library of LIBRARIES.filter(({ sentinel }) => sentinel !== undefined)) {
    async function linkTo(t, options) {
      const servers = await startSentinel({ binary })
      t.teardown(() => servers.kill())
      const client = library.sentinel(servers, options)
      t.teardown(() => library.end(client))
      return { servers, client, ...(await linked(t, client)) }
    }

    test.serial(
      `${library.name}: the master is used, and after a failover the new one`,
      async (t) => {
        const { servers, client, link, notes } = await linkTo(t, { keyPrefix: 'app:' })
        t.is(link.keyPrefix, 'app:')
        t.is(link.isOrdered, library.isOrdered)
        t.is(link.isSingle, library.isOrdered)
        for (const server of [servers.master, servers.replica]) {
          t.is(await servers.current(), server)
          await until(async () => {
            if (!link.isReady || !link.tracks) return false
            // The old master may still take it, and it is lost then.
            await link.command('k', ['SET', 'k', 'v']).catch(() => {})
            return (await server.command('GET', 'k')) === 'v'
          })
          t.is(await link.command('k', ['GET', 'k']), 'v')
          await server.command('SET', 'k', 'w')
          await until(() => notes.keys.includes('k'))
          await link.ping()
          t.is(await link.nodes()[0].command(['DBSIZE']), 1)
          notes.keys.length = 0
          if (server === servers.master) await server.kill()
          if (server === servers.master)
            await until(async () => (await servers.current()) !== server)
        }
        link.close()
        t.is(await library.use(client), 'PONG')
      },
    )

    test.serial(`${library.name}: it waits for sentinels that are gone`, async (t) => {
      const { servers, link, notes } = await linkTo(t)
      await servers.kill()
      await until(() => !link.isReady)
      const { length } = notes.failures
      await until(() => notes.failures.length > length + 1)
      await t.throwsAsync(link.command('k', ['GET', 'k']))
      link.close()
      await t.throwsAsync(link.ping(), { message: /no connection/ })
    })
  }
})
