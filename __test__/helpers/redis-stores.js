'use strict'

/** What the tests of stores on Redis share: stores through each library, and what they ask of them. */

const session = require('express-session')
const Cookie = require('express-session/session/cookie')
const ioredis = require('ioredis')
const redis = require('redis')
const { until } = require('./until.js')

const MemoryStore = require('../..')(session)

const HOUR = 3600_000

/** Long enough for all that is tested, so that it is not the library which ends a call. */
const CONNECT_TIMEOUT = 10 * 60_000

/** For each library, `open(url, options)`, which makes a client that is not connected. */
const LIBRARIES = {
  'node-redis': {
    open: (url, { ca, ...options } = {}) =>
      redis.createClient({
        url,
        socket: { connectTimeout: CONNECT_TIMEOUT, ...(ca && { ca }) },
        ...options,
      }),
    end: (client) => client.destroy(),
  },
  ioredis: {
    open: (url, { ca, ...options } = {}) =>
      new ioredis.Redis(url, {
        lazyConnect: true,
        connectTimeout: CONNECT_TIMEOUT,
        ...(ca && { tls: { ca } }),
        ...options,
      }),
    end: (client) => client.disconnect(),
  },
}

/** A store on the server at `url`, until the test ends. */
function openStore(t, url, { library = 'node-redis', client, ...options } = {}) {
  const store = new MemoryStore({ redis: client ?? LIBRARIES[library].open(url), ...options })
  t.teardown(() => store.close())
  return store
}

/** A client of the user's, which is connected until the test ends. */
async function connectClient(t, url, library = 'node-redis', options = {}) {
  const { open, end } = LIBRARIES[library]
  const client = open(url, options)
  // It is told of each connection that it loses.
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => {
    try {
      end(client)
    } catch {
      // It has ended by itself.
    }
  })
  return client
}

/** A session that lives for `maxAge` milliseconds. */
function newSession(values = {}, maxAge = HOUR) {
  const cookie = new Cookie({ maxAge })
  return { cookie, ...values }
}

/** Reads a session as a request does: what it returns is tied to what was read. */
async function readSession(store, sid) {
  const read = await eventually(() => store.get(sid))
  return read && store.createSession({ sessionID: sid, sessionStore: store }, read)
}

/** What the session has besides its cookie; undefined if there is none. */
async function valuesOf(store, sid) {
  const read = await eventually(() => store.get(sid))
  if (read !== undefined) delete read.cookie
  return read
}

/** The result of `call`, which is tried again while there is no connection. */
async function eventually(call) {
  let result
  await until(async () => {
    try {
      result = { value: await call() }
    } catch (err) {
      if (!/^ERR_MEMORYSTORE_(UNAVAILABLE|TIMEOUT)$/.test(err.code)) throw err
    }
    return result !== undefined
  })
  return result.value
}

/** Waits until the store serves the session from its near-cache. */
async function untilCached(store, sid) {
  await until(async () => {
    const before = store.stats().cacheHits
    await eventually(() => store.get(sid))
    return store.stats().cacheHits > before
  })
}

module.exports = {
  HOUR,
  LIBRARIES,
  MemoryStore,
  connectClient,
  eventually,
  newSession,
  openStore,
  readSession,
  untilCached,
  valuesOf,
}
