'use strict'

/** Links through single clients of all libraries; see also the specs of clusters and sentinels. */

const test = require('ava')
const { openLink } = require('../../lib/redis/clients/index.js')
const { onEachServer } = require('../helpers/on-each-server.js')
const { succeed } = require('../helpers/process.js')
const { startProxy } = require('../helpers/proxy.js')
const { LIBRARIES, linked } = require('../helpers/redis-clients.js')
const { RULES, startServer } = require('../helpers/redis-servers.js')
const { until } = require('../helpers/until.js')

const BYTES = Buffer.from([0, 255, 13, 10])

for (const value of [undefined, null, 'redis://127.0.0.1', {}, [], new Map(), () => {}]) {
  test(`${value === null ? 'null' : typeof value} ${String(value)} is no client`, (t) => {
    const error = t.throws(() => openLink(value, {}, { isBinary: false }), {
      instanceOf: TypeError,
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^memorystore-rs: the option `redis` is .* node-redis 5 or 6/,
    })
    t.false(error.message.includes('127.0.0.1'))
  })
}

test('a sentinel of node-redis 5 is no client: it cannot be duplicated', (t) => {
  const { createSentinel } = require('redis5')
  const sentinel = createSentinel({ name: 'm', sentinelRootNodes: [{ host: 'h', port: 1 }] })
  t.throws(() => openLink(sentinel, {}, { isBinary: false }), { message: /createSentinel of 6/ })
})

onEachServer((test, { binary, hasTls }) => {
  for (const library of LIBRARIES) {
    registerFor(prefixed(test, library.name), library)
  }

  function prefixed(declare, name) {
    // One after the other: each has a server of its own.
    return (title, fn) => declare.serial(`${name}: ${title}`, fn)
  }

  async function serve(t, options) {
    const server = await startServer({ binary, ...options })
    t.teardown(() => server.kill())
    return server
  }

  function registerFor(test, library) {
    function clientOf(t, server, options) {
      const client = library.client(server, options)
      t.teardown(() => library.end(client))
      return client
    }

    async function linkTo(t, options) {
      const server = await serve(t)
      return { server, ...(await linked(t, clientOf(t, server), options)) }
    }

    /** Reads the key so that it is tracked, and waits until a write of another is told. */
    async function assertTracked({ server, link, notes }, key = 'key') {
      await until(async () => {
        notes.keys.length = 0
        // It fails while a connection is lost, and may be followed by the loss of one.
        const isRead = await link.command(key, ['GET', key]).then(
          () => true,
          () => false,
        )
        if (!isRead || !link.tracks) return false
        const { changes } = notes
        await server.command('SET', key, 'foreign')
        await until(() => notes.keys.includes(key) || notes.changes > changes)
        return notes.keys.includes(key)
      })
    }

    test('commands are sent, and answered with strings', async (t) => {
      const { link, notes } = await linkTo(t)
      t.true(link.tracks)
      t.is(link.isOrdered, library.isOrdered)
      t.is(link.isSingle, library.isOrdered)
      t.is(link.keyPrefix, '')
      t.is(await link.command('k', ['SET', 'k', 'salut à tous', 'PX', '60000']), 'OK')
      t.is(await link.command('k', ['GET', 'k']), 'salut à tous')
      t.is(await link.command('none', ['GET', 'none']), null)
      const left = await link.command('k', ['PTTL', 'k'])
      t.true(left > 0 && left <= 60_000)
      const script = "return { KEYS[1], 1, false, redis.call('GET', KEYS[1]) }"
      const reply = await link.command('k', ['EVAL', script, '1', 'k'])
      t.deepEqual(reply, ['k', 1, null, 'salut à tous'])
      await link.ping()
      t.deepEqual(await Promise.all(link.nodes().map((node) => node.command(['DBSIZE']))), [1])
      t.deepEqual(notes.failures, [])
    })

    test('commands are sent, and answered with Buffers', async (t) => {
      const { link } = await linkTo(t, { isBinary: true })
      await link.command('k', ['SET', Buffer.from('k'), BYTES])
      t.deepEqual(await link.command('k', ['GET', 'k']), BYTES)
      t.is(await link.command('k', ['STRLEN', 'k']), BYTES.length)
      t.is(await link.command('none', ['GET', 'none']), null)
      const reply = await link.command('k', ['EVAL', 'return { KEYS[1], 7 }', '1', 'k'])
      t.deepEqual(reply, [Buffer.from('k'), 7])
    })

    test('writes of others and a flush are told', async (t) => {
      const { server, link, notes } = await linkTo(t)
      for (const key of ['a', 'b', 'é']) await link.command(key, ['GET', key])
      for (const key of ['é', 'other', 'a']) await server.command('SET', key, '1')
      await until(() => notes.keys.length === 2)
      t.deepEqual(notes.keys, ['é', 'a'])
      t.is(notes.flushes, 0)
      await server.command('FLUSHALL')
      await until(() => notes.flushes === 1)
    })

    test('connections that the server kills are replaced, and track again', async (t) => {
      const started = await linkTo(t)
      const { server, link, notes } = started
      const pending = link.command('list', ['BLPOP', 'list', '0'])
      await until(async () =>
        (await server.command('INFO', 'CLIENTS')).includes('blocked_clients:1'),
      )
      const { changes } = notes
      await server.command('CLIENT', 'KILL', 'TYPE', 'NORMAL')
      await server.command('CLIENT', 'KILL', 'TYPE', 'PUBSUB')
      await t.throwsAsync(pending)
      await until(() => link.isReady && link.tracks)
      t.true(notes.changes >= changes + 2)
      t.true(notes.failures.every((error) => error instanceof Error))
      // Nothing was sent again.
      t.true((await server.command('INFO', 'CLIENTS')).includes('blocked_clients:0'))
      await assertTracked(started)
    })

    test('closing it leaves the client of the user alone', async (t) => {
      const server = await serve(t)
      const client = clientOf(t, server)
      const { link, notes } = await linked(t, client)
      link.close()
      const { changes } = notes
      t.false(link.isReady)
      t.false(link.tracks)
      await t.throwsAsync(link.command('k', ['GET', 'k']), { message: /no connection/ })
      await t.throwsAsync(link.ping(), { message: /no connection/ })
      t.is(await library.use(client), 'PONG')
      const others = async () => (await server.command('CLIENT', 'LIST')).match(/laddr=127/g).length
      await until(async () => (await others()) === 1)
      t.is(notes.changes, changes)
      t.deepEqual(notes.failures, [])
    })

    test('errors tell nothing of the command', async (t) => {
      const { server, link } = await linkTo(t)
      const secret = 'sid-of-somebody'
      await server.command('LPUSH', secret, 'x')
      const failing = [
        ['GET', secret],
        ['NOSUCH', secret, 'more\nlines', secret],
        ['EVALSHA', '0'.repeat(40), '1', secret],
        ['SET', secret, secret, secret],
      ]
      for (const args of failing) {
        const error = await t.throwsAsync(link.command(secret, args))
        t.false(`${error.stack}${JSON.stringify({ ...error })}`.includes(secret), args[0])
        t.is(error.command, undefined)
      }
    })

    test('its commands have no other prefix than their own', async (t) => {
      const server = await serve(t)
      const hasPrefix = library.name !== 'node-redis 5'
      const options = hasPrefix ? { keyPrefix: 'app:' } : {}
      const { link, notes } = await linked(t, clientOf(t, server, options))
      t.is(link.keyPrefix, hasPrefix ? 'app:' : '')
      await link.command('k', ['SET', 'k', 'v'])
      t.is(await server.command('GET', 'k'), 'v')
      t.is(await link.command('k', ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'k']), 'v')
      await server.command('SET', 'k', 'w')
      await until(() => notes.keys.includes('k'))
    })

    test('another database is used if the client uses it', async (t) => {
      const server = await serve(t)
      const { link } = await linked(t, clientOf(t, { url: `${server.url}/3` }))
      await link.command('k', ['SET', 'k', 'v'])
      t.true((await server.command('INFO', 'KEYSPACE')).includes('db3:keys=1'))
    })

    test('an account with few rights suffices', async (t) => {
      const server = await serve(t, { acl: RULES + library.rules })
      const { link, notes } = await linked(t, clientOf(t, server))
      t.true(link.tracks)
      await link.command('sess:a', ['GET', 'sess:a'])
      await server.command('SET', 'sess:a', '1')
      await until(() => notes.keys.includes('sess:a'))
      await link.ping()
      t.deepEqual(notes.failures, [])
    })

    test('where the account may not track, it works without', async (t) => {
      const rules = RULES.replace('+client|tracking ', '') + library.rules
      const server = await serve(t, { acl: rules })
      const { link, notes } = await linked(t, clientOf(t, server))
      t.false(link.tracks)
      t.is(notes.changes, 1)
      t.deepEqual(notes.failures, [])
      t.is(await link.command('sess:a', ['SET', 'sess:a', 'b']), 'OK')
      await link.ping()
    })

    test('it tracks nothing if it is not asked to', async (t) => {
      const { server, link, notes } = await linkTo(t, { isTracking: false })
      t.false(link.tracks)
      t.true(link.isSingle)
      await link.command('k', ['GET', 'k'])
      await link.ping()
      const clients = await server.command('CLIENT', 'LIST')
      t.is(clients.match(/laddr=127/g).length, 1)
      t.false(clients.includes('flags=t'))
      t.is(notes.changes, 1)
    })

    test('it waits for a server that is gone', async (t) => {
      const started = await linkTo(t)
      const { server, link, notes } = started
      await server.kill()
      await until(() => !link.isReady)
      await t.throwsAsync(link.command('k', ['GET', 'k']))
      const { length } = notes.failures
      await until(() => notes.failures.length > length + 1)
      t.regex(notes.failures.at(-1).message, /ECONNREFUSED/)
      await server.restart()
      await until(() => link.isReady && link.tracks)
      await assertTracked(started)
    })

    test('a connection that does not answer is replaced at a reset', async (t) => {
      const server = await serve(t)
      const proxy = await startProxy(server.port)
      t.teardown(() => proxy.close())
      const { link, notes } = await linked(t, clientOf(t, proxy))
      proxy.freeze()
      const ping = link.ping()
      const get = link.command('k', ['GET', 'k'])
      await until(() => proxy.held() > 0)
      link.reset()
      t.false(link.isReady)
      await t.throwsAsync(ping)
      await t.throwsAsync(get)
      proxy.thaw()
      await until(() => link.isReady)
      await link.ping()
      await assertTracked({ server, link, notes })
    })

    test('a server that never answers is tried again', async (t) => {
      const server = await serve(t)
      const proxy = await startProxy(server.port)
      t.teardown(() => proxy.close())
      const brief = { connectTimeout: 50 }
      const options = library.isOrdered ? { socket: brief } : brief
      const { link, notes } = await linked(t, clientOf(t, proxy, options))
      proxy.freeze()
      link.reset()
      const isSilent = ({ message }) => message.includes('does not answer a new connection')
      await until(() => notes.failures.filter(isSilent).length > 1)
      t.false(link.isReady)
      proxy.thaw()
      await until(() => link.isReady)
    })

    test('a server that is no longer the master is left', async (t) => {
      const { server, link, notes } = await linkTo(t)
      await server.command('REPLICAOF', '127.0.0.1', '1')
      const { changes } = notes
      await t.throwsAsync(link.command('k', ['SET', 'k', 'v']), { message: /^READONLY/ })
      await until(() => notes.changes >= changes + 2 && link.isReady)
      t.deepEqual(notes.failures, [])
    })

    if (!library.isOrdered) {
      test('the loss of the second connection cuts no command off', async (t) => {
        const started = await linkTo(t)
        const { server, link, notes } = started
        const pending = link.command('list', ['BLPOP', 'list', '0'])
        const { changes } = notes
        await server.command('CLIENT', 'KILL', 'TYPE', 'PUBSUB')
        await until(() => notes.changes > changes)
        await server.command('LPUSH', 'list', 'x')
        t.deepEqual(await pending, ['list', 'x'])
        await until(() => link.isReady && link.tracks)
        await assertTracked(started)
      })
    }

    test('it can be closed at any time', async (t) => {
      const server = await serve(t)
      const proxy = await startProxy(server.port)
      t.teardown(() => proxy.close())
      proxy.freeze()
      const failures = []
      const handlers = {
        invalidated: () => t.fail(),
        changed: () => t.fail(),
        failed: (error) => failures.push(error),
      }
      const link = openLink(clientOf(t, proxy), handlers, { isBinary: false })
      link.connect()
      link.close()
      const another = openLink(clientOf(t, proxy), handlers, { isBinary: false })
      another.connect()
      await until(() => proxy.held() > 0)
      another.close()
      proxy.thaw()
      await until(() => proxy.connections() === 0)
      t.deepEqual(failures, [])
    })

    test('it keeps no process alive', async (t) => {
      const server = await serve(t)
      for (const state of ['open', 'closed', 'offline']) {
        const script = `(${child})(${JSON.stringify({ state, name: library.name, port: server.port })})`
        t.is(await succeed(t, script), state)
      }
    })

    if (hasTls()) {
      test('TLS and a password are inherited', async (t) => {
        const rules = RULES + library.rules
        const server = await serve(t, { tls: true, acl: rules })
        const { link, notes } = await linked(t, clientOf(t, server))
        t.true(link.tracks)
        await link.command('sess:a', ['GET', 'sess:a'])
        await server.command('SET', 'sess:a', '1')
        await until(() => notes.keys.includes('sess:a'))
      })
    }
  }
})

/** A process whose link is in that state when there is nothing left to do. */
async function child({ state, name, port }) {
  const { LIBRARIES, linked } = require('./__test__/helpers/redis-clients.js')
  const { startProxy } = require('./__test__/helpers/proxy.js')
  const { until } = require('./__test__/helpers/until.js')
  const proxy = await startProxy(port)
  const client = LIBRARIES.find((library) => library.name === name).client(proxy)
  const { link, notes, sleep } = await linked({ teardown() {} }, client)
  if (state === 'closed') link.close()
  if (state === 'offline') {
    proxy.close()
    await until(() => notes.failures.length > 3)
  }
  process.on('exit', () => console.log(JSON.stringify(state)))
  sleep()
}
