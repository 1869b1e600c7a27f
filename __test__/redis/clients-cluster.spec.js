'use strict'

/** Links through the clusters of all libraries, which are tested side by side on one cluster. */

const { slotOf } = require('../../lib/redis/clients/slot.js')
const { onEachServer } = require('../helpers/on-each-server.js')
const { LIBRARIES, linked } = require('../helpers/redis-clients.js')
const { startCluster } = require('../helpers/redis-servers.js')
const { until } = require('../helpers/until.js')

const KEYS = Array.from({ length: 30 }, (_, n) => `sess:${n}`)

onEachServer((test, { binary }) => {
  async function serve(t, options) {
    const cluster = await startCluster(3, { binary, ...options })
    t.teardown(() => cluster.kill())
    return cluster
  }

  /** A link of each library, with its `name`. */
  function linksTo(t, cluster, urls = cluster.urls) {
    return Promise.all(
      LIBRARIES.map(async (library) => {
        const client = library.cluster({ urls })
        t.teardown(() => library.end(client))
        return { ...library, ...(await linked(t, client)) }
      }),
    )
  }

  test.serial('the slot of a key is the one that the server says', async (t) => {
    const cluster = await serve(t)
    const keys = ['', 'key', 'é', '{a}b', 'b{a}', '{}a', '{a', 'a}{b}', '{{a}}', 'x'.repeat(5000)]
    for (const key of [...keys, ...KEYS]) {
      t.is(slotOf(key), await cluster.nodes[0].command('CLUSTER', 'KEYSLOT', key), key)
    }
  })

  test.serial('commands go to the masters of their keys', async (t) => {
    const cluster = await serve(t, { replicas: 1 })
    const script = "return redis.call('SET', KEYS[1], ARGV[1])"
    // The only one that is named is a replica.
    for (const { name, isOrdered, link } of await linksTo(t, cluster, cluster.urls.slice(-1))) {
      t.true(link.tracks)
      t.is(link.isOrdered, isOrdered)
      t.false(link.isSingle)
      for (const key of KEYS) await link.command(key, ['EVAL', script, '1', key, `${name} ${key}`])
      for (const key of KEYS) t.is(await link.command(key, ['GET', key]), `${name} ${key}`)
      t.is(link.nodes().length, 3)
      const sizes = await Promise.all(link.nodes().map((node) => node.command(['DBSIZE'])))
      t.is(
        sizes.reduce((sum, size) => sum + size),
        KEYS.length,
      )
      t.true(sizes.every((size) => size > 0))
      await link.ping()
      const error = await t.throwsAsync(link.command('k', ['NOSUCH', 'secret']))
      t.false(error.stack.includes('secret'))
    }
  })

  test.serial('all masters tell, also after they have killed the connections', async (t) => {
    const cluster = await serve(t)
    const links = await linksTo(t, cluster)
    await assertTracked(t, cluster, links)
    const flushes = links.map(({ notes }) => notes.flushes)
    for (const master of cluster.masters) await master.command('FLUSHALL')
    await until(() => links.every(({ notes }, n) => notes.flushes >= flushes[n] + 3))

    const changes = links.map(({ notes }) => notes.changes)
    for (const master of cluster.masters) {
      await master.command('CLIENT', 'KILL', 'TYPE', 'NORMAL')
      await master.command('CLIENT', 'KILL', 'TYPE', 'PUBSUB')
    }
    await until(() => links.every(({ notes }, n) => notes.changes >= changes[n] + 6))
    await assertTracked(t, cluster, links)
    await Promise.all(links.map(({ link }) => link.ping()))
  })

  test.serial('a slot that moves is followed', async (t) => {
    const cluster = await serve(t)
    const links = await linksTo(t, cluster)
    const key = 'key'
    const slot = slotOf(key)
    const from = await cluster.ownerOf(key)
    const to = cluster.masters.find((master) => master !== from)
    const idOfFrom = await from.command('CLUSTER', 'MYID')
    const idOfTo = await to.command('CLUSTER', 'MYID')
    await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', idOfFrom)
    await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', idOfTo)
    for (const { name, link } of links) {
      t.is(await link.command(key, ['SET', key, name]), 'OK')
      t.is(await link.command(key, ['GET', key]), name)
    }
    const changes = links.map(({ notes }) => notes.changes)
    await to.command('CLUSTER', 'SETSLOT', slot, 'NODE', idOfTo)
    await from.command('CLUSTER', 'SETSLOT', slot, 'NODE', idOfTo)
    for (const { name, link } of links) {
      t.is(await link.command(key, ['GET', key]), LIBRARIES.at(-1).name, name)
    }
    await until(() => links.every(({ notes }, n) => notes.changes > changes[n]))
    await assertTracked(t, cluster, links, [key])
  })

  test.serial('a replica that becomes the master is used', async (t) => {
    const cluster = await serve(t, { replicas: 1 })
    const links = await linksTo(t, cluster)
    const [key] = KEYS
    const before = await cluster.ownerOf(key)
    const changes = links.map(({ notes }) => notes.changes)
    await before.kill()
    await until(() => links.every(({ notes }, n) => notes.changes > changes[n]))
    for (const { link } of links) {
      await until(() => link.command(key, ['SET', key, 'v']).then(isTrue, isFalse))
      t.is(link.nodes().length, 3)
      await until(() => link.isReady && link.tracks)
    }
    t.not(await cluster.ownerOf(key), before)
    await assertTracked(t, cluster, links)
    await Promise.all(links.map(({ link }) => link.ping()))
  })

  test.serial('they wait for a cluster that is gone', async (t) => {
    const cluster = await serve(t)
    const links = await linksTo(t, cluster)
    await cluster.kill()
    for (const { link, notes } of links) {
      await until(() => !link.isReady)
      await t.throwsAsync(link.command('k', ['GET', 'k']))
      await t.throwsAsync(link.ping(), { message: /no connection/ })
      const { length } = notes.failures
      await until(() => notes.failures.length > length + 6)
      link.close()
      const { changes } = notes
      await t.throwsAsync(link.command('k', ['GET', 'k']), { message: /no connection/ })
      t.deepEqual(link.nodes(), [])
      t.is(notes.changes, changes)
    }
  })
})

/**
 * Reads all keys through each link, writes them as somebody else does, and waits until each link is
 * told of all of them.
 */
async function assertTracked(t, cluster, links, keys = KEYS) {
  await until(async () => {
    const areRead = await Promise.all(links.map(({ link }) => readAll(link, keys)))
    if (areRead.includes(false) || !links.every(({ link }) => link.tracks)) return false
    for (const { notes } of links) notes.keys.length = 0
    const changes = links.map(({ notes }) => notes.changes)
    for (const key of keys) await (await cluster.ownerOf(key)).command('SET', key, 'foreign')
    const areTold = () => links.every(({ notes }) => keys.every((key) => notes.keys.includes(key)))
    // The loss of a connection may have been noticed only now.
    await until(() => areTold() || links.some(({ notes }, n) => notes.changes > changes[n]))
    return areTold()
  })
  t.pass()
}

function readAll(link, keys) {
  return Promise.all(keys.map((key) => link.command(key, ['GET', key]))).then(isTrue, isFalse)
}

const isTrue = () => true
const isFalse = () => false
