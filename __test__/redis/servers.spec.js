'use strict'

/** The servers and the network on which the tests of the store on Redis are built. */

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { existsSync } = require('node:fs')
const net = require('node:net')
const { join } = require('node:path')
const test = require('ava')
const { createClient, createCluster, createSentinel } = require('redis')
const { onEachServer } = require('../helpers/on-each-server.js')
const { ROOT, run } = require('../helpers/process.js')
const { startProxy } = require('../helpers/proxy.js')
const { startCluster, startSentinel, startServer } = require('../helpers/redis-servers.js')
const { until } = require('../helpers/until.js')

const HOST = '127.0.0.1'
const HOUR = 3600_000

async function started(t, starting) {
  const it = await starting
  t.teardown(() => it.kill())
  return it
}

/** The reply takes as long as it takes, and whatever connects tries again when it is cut off. */
const PATIENT = { commandOptions: { timeout: undefined } }

async function connected(t, client) {
  t.teardown(() => client.destroy())
  // It is told of each connection that it loses.
  client.on('error', () => {})
  await client.connect()
  return client
}

const connect = (t, options) => connected(t, createClient({ ...PATIENT, ...options }))

/** A server, a proxy to it, and a client that goes through the proxy. */
async function startBehindProxy(t, { binary }) {
  const server = await started(t, startServer({ binary }))
  const proxy = await startProxy(server.port)
  t.teardown(() => proxy.close())
  return { server, proxy, client: await connect(t, { url: proxy.url }) }
}

/** How a connection to the port ends: undefined if it is taken, else the code of the error. */
async function knock(port) {
  const socket = net.connect(port, HOST)
  const result = await once(socket, 'connect').then(
    () => undefined,
    ({ code }) => code,
  )
  socket.destroy()
  return result
}

/** Tells whether the promise has been settled. */
function watch(promise) {
  const watched = { isSettled: false }
  const settle = () => (watched.isSettled = true)
  promise.then(settle, settle)
  return watched
}

/** The connections of clients, as the server sees them, without the one that asks. */
async function clientsOf(server) {
  const list = await server.command('CLIENT', 'LIST', 'TYPE', 'NORMAL')
  return list.split('\n').filter((line) => line.includes(`laddr=${HOST}`)).length
}

/** Whether a client waits for an element of a list. */
async function isBlocking(server) {
  return (await server.command('INFO', 'CLIENTS')).includes('blocked_clients:1')
}

onEachServer((test, { binary, hasTls }) => {
  test('what is written is read through a proxy', async (t) => {
    const { server, proxy, client } = await startBehindProxy(t, { binary })
    await client.set('greeting', 'salut à tous')
    const large = 'x'.repeat(5_000_000)
    await client.set('large', large)
    t.is(await server.command('GET', 'greeting'), 'salut à tous')
    t.is(await client.get('large'), large)
    t.is(proxy.connections(), 1)
    t.is(proxy.accepted(), 1)
    t.is(await clientsOf(server), 1)
    await client.close()
    await until(() => proxy.connections() === 0)
    await until(async () => (await clientsOf(server)) === 0)
  })

  test('what the administrator asks for is answered by value or by error', async (t) => {
    const server = await started(t, startServer({ binary }))
    t.is(await server.command('SET', 'a', 1), 'OK')
    t.is(await server.command('INCR', 'a'), 2)
    t.deepEqual(await server.command('MGET', 'a', 'b'), ['2', null])
    t.deepEqual(await server.command('EVAL', 'return {{}, {"", 1}}', 0), [[], ['', 1]])
    await t.throwsAsync(server.command('LPUSH', 'a', 'b'), { message: /^WRONGTYPE/ })
  })

  test('a server that was killed refuses; started again it has its port and no data', async (t) => {
    const server = await started(t, startServer({ binary }))
    await server.command('SET', 'a', 'b')
    await server.kill()
    t.false(server.isUp())
    t.is(await knock(server.port), 'ECONNREFUSED')
    await t.throwsAsync(server.command('PING'))
    await server.restart()
    t.true(server.isUp())
    await server.command('SET', 'b', 'c')
    await server.restart()
    const client = await connect(t, { url: server.url })
    t.is(await client.dbSize(), 0)
  })

  test('a server that is stopped answers when it goes on', async (t) => {
    const server = await started(t, startServer({ binary }))
    const client = await connect(t, { url: server.url })
    await server.stop()
    t.false(server.isUp())
    const ping = client.ping()
    const watched = watch(ping)
    // The operating system takes connections in its place.
    t.is(await knock(server.port), undefined)
    t.false(watched.isSettled)
    server.cont()
    t.is(await ping, 'PONG')
    t.true(server.isUp())
  })

  test('a server that is stopped can be killed', async (t) => {
    const server = await started(t, startServer({ binary }))
    await server.stop()
    await server.kill()
    t.is(await knock(server.port), 'ECONNREFUSED')
  })

  test('a server that does not start says why', async (t) => {
    const starting = startServer({ binary, args: ['--no-such-option', 'yes'] })
    await t.throwsAsync(starting, { message: /no-such-option/ })
  })

  test('a frozen network holds requests and replies, and keeps connections', async (t) => {
    const { server, proxy, client } = await startBehindProxy(t, { binary })
    const reply = client.blPop('list', 0)
    const watched = watch(reply)
    await until(() => isBlocking(server))
    proxy.freeze()

    await server.command('RPUSH', 'list', 'element')
    const request = client.set('a', 'b')
    await until(() => proxy.held() === 2)
    t.false(watched.isSettled)
    t.is(await server.command('GET', 'a'), null)
    t.is(proxy.connections(), 1)
    t.is(await clientsOf(server), 1)

    proxy.thaw()
    t.is((await reply).element, 'element')
    t.is(await request, 'OK')
    t.is(await server.command('GET', 'a'), 'b')
    t.is(proxy.accepted(), 1)
    t.is(proxy.held(), 0)
  })

  test('a frozen network does not tell that the other end is gone', async (t) => {
    const { server, proxy, client } = await startBehindProxy(t, { binary })
    proxy.freeze()
    client.destroy()
    await until(() => proxy.held() > 0)
    t.is(proxy.connections(), 1)
    t.is(await clientsOf(server), 1)
    proxy.thaw()
    await until(() => proxy.connections() === 0)
    await until(async () => (await clientsOf(server)) === 0)
  })

  test('connections that are taken while the network is frozen get their answers', async (t) => {
    const server = await started(t, startServer({ binary }))
    const proxy = await startProxy(server.port)
    t.teardown(() => proxy.close())
    proxy.freeze()
    const client = connect(t, { url: proxy.url })
    const watched = watch(client)
    await until(() => proxy.held() > 0)
    t.false(watched.isSettled)
    proxy.thaw()
    t.is(await (await client).ping(), 'PONG')
  })

  test('a slow network holds bytes until their time has come', async (t) => {
    const { proxy, client } = await startBehindProxy(t, { binary })
    proxy.delay(5)
    t.is(await client.ping(), 'PONG')
    proxy.delay(HOUR)
    const ping = client.ping()
    const watched = watch(ping)
    await until(() => proxy.held() === 1)
    t.false(watched.isSettled)
    proxy.delay(0)
    t.is(await ping, 'PONG')
  })

  test('connections that are cut end at both ends, and new ones are taken', async (t) => {
    const { server, proxy, client } = await startBehindProxy(t, { binary })
    const id = await client.clientId()
    const reply = client.blPop('list', 0)
    await until(() => isBlocking(server))
    proxy.cut()
    await t.throwsAsync(reply)
    t.not(await client.clientId(), id)
    t.is(proxy.connections(), 1)
    t.is(proxy.accepted(), 2)
    await until(async () => (await clientsOf(server)) === 1)
  })

  test('a proxy that refuses keeps its connections until they are cut', async (t) => {
    const { proxy, client } = await startBehindProxy(t, { binary })
    proxy.refuse()
    t.is(await knock(proxy.port), 'ECONNREFUSED')
    t.is(await client.ping(), 'PONG')
    proxy.cut()
    t.is(proxy.connections(), 0)
    await until(() => !client.isReady)
    t.is(await knock(proxy.port), 'ECONNREFUSED')
    await proxy.accept()
    t.is(await client.ping(), 'PONG')
    t.is(proxy.connections(), 1)
  })

  test('a client of the proxy is cut off when the server is killed', async (t) => {
    const { server, proxy, client } = await startBehindProxy(t, { binary })
    await server.kill()
    await until(() => !client.isReady)
    await server.restart()
    t.is(await client.ping(), 'PONG')
    await until(() => proxy.connections() === 1)
  })

  test('a user that is restricted may do what a store needs, and no more', async (t) => {
    const server = await started(t, startServer({ binary, acl: true }))
    for (const start of ['the first', 'another']) {
      const client = await connect(t, { url: server.url })
      t.is(await client.set('sess:a', 'b'), 'OK', start)
      t.is(await client.sendCommand(['CLIENT', 'TRACKING', 'ON']), 'OK')
      t.is(await client.eval('return redis.call("GET", KEYS[1])', { keys: ['sess:a'] }), 'b')
      await t.throwsAsync(client.get('other:a'), { message: /^NOPERM/ })
      await t.throwsAsync(client.flushAll(), { message: /^NOPERM/ })
      client.destroy()
      await server.restart()
    }
  })

  test('a user has the rules that a test gives', async (t) => {
    const server = await started(t, startServer({ binary, acl: '~* +get +hello' }))
    const client = await connect(t, { url: server.url })
    t.is(await client.get('a'), null)
    await t.throwsAsync(client.set('a', 'b'), { message: /^NOPERM/ })
  })

  const testWithTls = hasTls() ? test : test.skip
  testWithTls('a server with TLS takes clients that trust it, and no others', async (t) => {
    const server = await started(t, startServer({ binary, tls: true, acl: true }))
    const client = await connect(t, { url: server.url, socket: { ca: server.ca } })
    await client.set('sess:a', 'b')
    t.is(await client.get('sess:a'), 'b')
    t.is(await server.command('GET', 'sess:a'), 'b')

    const connectOnce = (url) => connect(t, { url, socket: { reconnectStrategy: false } })
    await t.throwsAsync(connectOnce(server.url), { message: /self-signed/ })
    await t.throwsAsync(connectOnce(server.url.replace('rediss:', 'redis:')))
  })

  test('a cluster of three masters answers for all keys', async (t) => {
    const servers = await started(t, startCluster(3, { binary }))
    t.is(servers.masters.length, 3)
    t.deepEqual(servers.replicas, [])
    const rootNodes = servers.urls.map((url) => ({ url }))
    const client = await connected(t, createCluster({ rootNodes, defaults: PATIENT }))
    const keys = Array.from({ length: 30 }, (_, n) => `key:${n}`)
    for (const key of keys) await client.set(key, `of ${key}`)
    const owners = new Set()
    for (const key of keys) {
      t.is(await client.get(key), `of ${key}`)
      const owner = await servers.ownerOf(key)
      t.is(await owner.command('GET', key), `of ${key}`)
      owners.add(owner)
    }
    t.is(owners.size, 3)
  })

  test('a cluster with replicas goes on without a master', async (t) => {
    const servers = await started(t, startCluster(3, { binary, replicas: 1 }))
    t.is(servers.replicas.length, 3)
    const before = await servers.ownerOf('key')
    t.true(servers.masters.includes(before))
    await before.command('SET', 'key', 'value')
    t.is(await before.command('WAIT', 1, 0), 1)
    await before.kill()
    await until(async () => (await servers.ownerOf('key')) !== before)
    const after = await servers.ownerOf('key')
    t.true(servers.replicas.includes(after))
    await until(() => after.command('GET', 'key').then((value) => value === 'value', isDown))
  })

  test('a failover makes the replica the master, and back', async (t) => {
    const servers = await started(t, startSentinel({ binary }))
    t.is(await servers.current(), servers.master)
    const client = await connected(
      t,
      createSentinel({
        name: servers.name,
        sentinelRootNodes: [{ host: HOST, port: servers.port }],
        nodeClientOptions: PATIENT,
      }),
    )
    await client.set('key', 'value')
    t.is(await servers.master.command('WAIT', 1, 0), 1)

    t.is(await servers.failover(), servers.replica)
    t.is(await servers.current(), servers.replica)
    t.is(await servers.replica.command('GET', 'key'), 'value')
    await until(async () => {
      await client.set('key', 'another').catch(() => {})
      return (await servers.replica.command('GET', 'key')) === 'another'
    })

    t.is(await servers.failover(), servers.master)
    t.is((await servers.master.command('ROLE'))[0], 'master')
  })

  test('a server ends with a process that is killed, and leaves no files', async (t) => {
    const script = `
      const { startServer } = require('./__test__/helpers/redis-servers.js')
      const { folderOfProcess } = require('./__test__/helpers/guard.js')
      setInterval(() => {}, ${HOUR})
      startServer({ binary: process.argv[1] }).then(async ({ port, stop }) => {
        await stop()
        console.log(JSON.stringify({ port, folder: folderOfProcess() }))
      })`
    const child = spawn(process.execPath, ['-e', script, binary], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const [line] = await once(child.stdout, 'data')
    const { port, folder } = JSON.parse(line)
    t.is(await knock(port), undefined)
    t.true(existsSync(folder))
    child.kill('SIGKILL')
    await until(async () => (await knock(port)) === 'ECONNREFUSED')
    await until(() => !existsSync(folder))
  })
})

/** False, where a node of the cluster has not heard yet of what another one knows. */
function isDown(error) {
  if (/^(CLUSTERDOWN|MOVED)/.test(error.message)) return false
  throw error
}

/** Runs ava on this spec, as on a machine without any server. */
function runWithout(env, match) {
  const ava = join(ROOT, 'node_modules/ava/entrypoints/cli.mjs')
  const none = { MEMORYSTORE_RS_REDIS_SERVER: '', MEMORYSTORE_RS_VALKEY_SERVER: '', PATH: '' }
  return run(process.execPath, [ava, __filename, '--match', match], {
    cwd: ROOT,
    env: { ...process.env, MEMORYSTORE_RS_REQUIRE_REDIS: '', ...none, ...env },
  })
}

test('without a server a spec has one test, which is skipped and says what to do', async (t) => {
  const { code, stdout } = await runWithout({}, '*was left out*')
  t.is(code, 0)
  t.regex(stdout, /__test__.redis.servers\.spec\.js was left out.*redis-server.*CONTRIBUTING\.md/)
  t.regex(stdout, /1 test skipped/)
})

test('where servers are required, one that is not there is a failure', async (t) => {
  const { code, stdout } = await runWithout({ MEMORYSTORE_RS_REQUIRE_REDIS: '1' }, '* is there')
  t.is(code, 1)
  t.regex(stdout, /put redis-server on the PATH, or set MEMORYSTORE_RS_REDIS_SERVER/)
  t.regex(stdout, /2 tests failed/)
})
