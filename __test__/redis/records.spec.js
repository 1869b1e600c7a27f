'use strict'

/**
 * What is unusual about keys, sessions, accounts and connections: all that a store does has to work
 * with it.
 */

const v8 = require('node:v8')
const { inspect } = require('node:util')
const ioredis = require('ioredis')
const redis = require('redis')
const { onEachServer } = require('../helpers/on-each-server.js')
const { startCluster, startServer } = require('../helpers/redis-servers.js')
const {
  HOUR,
  LIBRARIES,
  eventually,
  newSession,
  openStore,
  readSession,
  untilCached,
  valuesOf,
} = require('../helpers/redis-stores.js')
const { until } = require('../helpers/until.js')

/** Longer than any call takes, however busy the machine. */
const TIMEOUT = 60_000

async function start(t, binary, options = {}) {
  const server = await startServer({ binary, ...options })
  t.teardown(() => server.kill())
  return server
}

/** A store through a client with options of its own. */
function open(t, server, library, { client = {}, ...options } = {}) {
  const made = LIBRARIES[library].open(server.url, { ca: server.ca, ...client })
  return openStore(t, server.url, { client: made, timeout: TIMEOUT, ...options })
}

/** Has the store do all that it can with the session `sid`. It has to be the only one. */
async function useAll(t, store, sid) {
  const about = inspect(sid)
  t.is(await store.get(sid), undefined, about)
  await store.set(sid, newSession({ n: 1 }))
  t.deepEqual(await valuesOf(store, sid), { n: 1 }, about)
  const [one, other] = [await readSession(store, sid), await readSession(store, sid)]
  one.one = 1
  other.other = 1
  await store.set(sid, one)
  await store.set(sid, other)
  const all = { n: 1, one: 1, other: 1 }
  t.deepEqual(await valuesOf(store, sid), all, about)
  // Only the expiry, then the whole cookie, then for ever.
  await store.touch(sid, { cookie: { ...newSession({}, 2 * HOUR).cookie.toJSON() } })
  const touched = await readSession(store, sid)
  touched.cookie.path = '/elsewhere'
  await store.touch(sid, touched)
  t.is((await store.get(sid)).cookie.path, '/elsewhere', about)
  t.deepEqual(await valuesOf(store, sid), all, about)

  t.deepEqual(await store.ids(), [sid])
  t.is(await store.length(), 1)
  t.deepEqual(Object.keys(await store.all()), [sid])
  for await (const key of store.keys()) t.is(key, sid)
  for await (const [key, session] of store.entries()) {
    t.is(key, sid)
    t.is(session.n, 1)
  }
  const late = await readSession(store, sid)
  await store.destroy(sid)
  await store.set(sid, late)
  t.is(await store.get(sid), undefined, about)
  t.deepEqual(await store.ids(), [])
}

const SIDS = [
  'plain',
  '',
  ' ',
  'a b\nc\r\n$3\r\n',
  'a*?[b-c]^\\',
  'é😀',
  '{tag}',
  'a{tag}b',
  '{}',
  '{}a',
  '{',
  '}',
  'a}b',
  'a{b',
  '}{',
  '{a}{b}',
  '{{a}}',
  'a:destroyed',
  'x'.repeat(10_000),
  '__proto__',
]

const PREFIXES = ['sess:', 'a*[b]?\\^:', '{tag}:', '{<', '}', '{}:']

onEachServer((test, { binary, hasTls }) => {
  for (const library of Object.keys(LIBRARIES)) {
    const title = (text) => `${library}: ${text}`

    for (const options of [{}, { destroyed: 'final' }, { dispose: () => {} }]) {
      const about = inspect(options, { breakLength: Infinity })
      test.serial(title(`an account with few rights is enough; ${about}`), async (t) => {
        const server = await start(t, binary, { acl: true })
        const store = open(t, server, library, options)
        await useAll(t, store, 'a')
        await store.set('b', newSession())
        await untilCached(store, 'b')
        await store.clear()
        const lasting = open(t, server, library, { ...options, ttl: 0 })
        await store.set('c', newSession({ n: 1 }))
        await lasting.touch('c', newSession())
        t.is(await server.command('PTTL', 'sess:c'), -1)
        t.deepEqual(await valuesOf(lasting, 'c'), { n: 1 })

        // Libraries tell the server their names, and do not mind if they may not.
        const refused = await server.command('ACL', 'LOG')
        const objects = refused.map((fields) => fields[fields.indexOf('object') + 1])
        const missing = objects.filter((object) => object !== 'client|setinfo')
        t.deepEqual(missing, [])
      })
    }

    const testWithTls = hasTls() ? test.serial : test.serial.skip
    testWithTls(title('the connection of the user may be one with TLS'), async (t) => {
      const server = await start(t, binary, { tls: true, acl: true })
      const store = open(t, server, library)
      await useAll(t, store, 'a')
      await store.set('b', newSession())
      await untilCached(store, 'b')
      await server.command('SET', 'sess:b', JSON.stringify(newSession({ n: 'foreign' })))
      await until(async () => (await store.get('b')).n === 'foreign')
    })

    test.serial(title('sids may have any characters'), async (t) => {
      const server = await start(t, binary)
      const store = open(t, server, library)
      for (const sid of SIDS) {
        await useAll(t, store, sid)
        t.is(await server.command('EXISTS', `sess:${sid}`), 0)
      }
    })

    test.serial(title('prefixes may have any characters, and keep stores apart'), async (t) => {
      const server = await start(t, binary)
      await server.command('SET', 'other', 'not a session')
      const stores = PREFIXES.map((prefix) => open(t, server, library, { prefix }))
      for (const [n, store] of stores.entries()) {
        await useAll(t, store, 'a')
        await store.set('sid', newSession({ n }))
      }
      for (const [n, store] of stores.entries()) {
        t.deepEqual(await store.ids(), ['sid'], PREFIXES[n])
        t.deepEqual(await valuesOf(store, 'sid'), { n })
      }
      const [store, ...others] = stores
      await store.clear()
      t.deepEqual(await store.ids(), [])
      for (const each of others) t.deepEqual(await each.ids(), ['sid'])
      t.is(await server.command('GET', 'other'), 'not a session')
    })

    test.serial(title('the prefix may be empty, beside that of the client'), async (t) => {
      for (const keyPrefix of ['', 'app*:']) {
        const server = await start(t, binary)
        const store = open(t, server, library, { prefix: '', client: { keyPrefix } })
        for (const sid of ['plain', 'a*b', 'a{tag}b', 'a}b']) await useAll(t, store, sid)
        await store.set('a', newSession({ n: 1 }))
        t.is(JSON.parse(await server.command('GET', `${keyPrefix}a`)).n, 1)
        await untilCached(store, 'a')
        await server.command('DEL', `${keyPrefix}a`)
        await until(async () => (await store.get('a')) === undefined)
      }
    })

    test.serial(title('sessions may be bytes'), async (t) => {
      const server = await start(t, binary)
      for (const [name, serializer] of Object.entries(SERIALIZERS)) {
        const store = open(t, server, library, { serializer, prefix: `${name}:` })
        await useAll(t, store, 'a')
        const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n)).toString('latin1')
        await store.set('b', newSession({ bytes }))
        t.deepEqual(await valuesOf(store, 'b'), { bytes })
        await untilCached(store, 'b')
        t.deepEqual(await valuesOf(store, 'b'), { bytes })
        // A store that has not written anything knows too.
        const reader = open(t, server, library, { serializer, prefix: `${name}:` })
        t.deepEqual(await valuesOf(reader, 'b'), { bytes })
      }
    })

    test.serial(title('sessions may be large'), async (t) => {
      const server = await start(t, binary)
      const store = open(t, server, library)
      const small = open(t, server, library, { maxBytes: 100_000 })
      const text = 'xé😀"\n'.repeat(150_000)
      const values = (n) => ({ n, text })
      await Promise.all(
        Array.from({ length: 8 }, (_, n) => store.set(`s${n}`, newSession(values(n)))),
      )
      for (let n = 0; n < 8; n++) t.deepEqual(await valuesOf(small, `s${n}`), values(n))
      await untilCached(store, 's1')
      const [one, other] = [await readSession(store, 's1'), await readSession(small, 's1')]
      one.one = text
      other.other = text
      await Promise.all([store.set('s1', one), small.set('s1', other)])
      const both = { ...values(1), one: text, other: text }
      await until(async () => 'other' in (await store.get('s1')))
      t.deepEqual(await valuesOf(store, 's1'), both)
      t.deepEqual(await valuesOf(small, 's1'), both)
      t.is(small.stats().bytes < 100_000, true)
      t.is(Object.keys(await store.all()).length, 8)
      await store.clear()
      t.is(await small.length(), 0)
    })

    test.serial(title('a key that is no session is an error, and can be destroyed'), async (t) => {
      const server = await start(t, binary)
      for (const options of [{}, { dispose: () => {} }]) {
        const store = open(t, server, library, options)
        await server.command('RPUSH', 'sess:list', 'element')
        const error = await t.throwsAsync(store.get('list'), { code: 'ERR_MEMORYSTORE_REFUSED' })
        t.regex(error.cause.message, /^WRONGTYPE/)
        await t.throwsAsync(store.touch('list', newSession()), { code: 'ERR_MEMORYSTORE_REFUSED' })
        t.deepEqual(await store.ids(), ['list'])
        await store.destroy('list')
        t.is(await store.get('list'), undefined)
        await server.command('RPUSH', 'sess:list', 'element')
        await store.clear()
        t.is(await store.length(), 0)
      }
    })
  }

  // In a cluster a key with a closing brace, but without a hash tag, has no tombstone: no other name
  // is sure to be in its slot.
  const hasTombstone = (key) => key !== '' && (/\{[^}]+\}/.test(key) || !key.includes('}'))
  // One that is the tombstone of another sid is refused.
  const isTombstone = (key) => /^\{.*\}$|\{.+\}.*:destroyed$/.test(key)

  for (const prefix of ['sess:', '', 'a*[b]?\\^:', '{tag}:']) {
    test.serial(`in a cluster with the prefix '${prefix}' sids may have hash tags`, async (t) => {
      const cluster = await sharedCluster(binary)
      for (const library of Object.keys(CLUSTERS)) {
        const redis = CLUSTERS[library](cluster)
        const store = openStore(t, undefined, { client: redis, prefix, timeout: TIMEOUT })
        await Promise.all(cluster.nodes.map((node) => node.command('FLUSHALL')))
        for (const sid of SIDS) {
          if (!hasTombstone(prefix + sid) || isTombstone(prefix + sid)) continue
          await eventually(() => store.get(sid))
          await useAll(t, store, sid)
        }
        await store.close()
      }
    })
  }
})

const CLUSTERS = {
  'node-redis': ({ urls }) => redis.createCluster({ rootNodes: urls.map((url) => ({ url })) }),
  ioredis: ({ urls }) => new ioredis.Cluster(urls, { lazyConnect: true }),
}

const clusters = new Map()

/** A cluster of this server, the same one for all tests of this file. */
function sharedCluster(binary) {
  if (!clusters.has(binary)) clusters.set(binary, startCluster(3, { binary }))
  return clusters.get(binary)
}

/** Serializers that give bytes. */
const SERIALIZERS = {
  v8: {
    stringify: (session) => v8.serialize(JSON.parse(JSON.stringify(session))),
    parse: (bytes) => v8.deserialize(bytes),
  },
  array: {
    stringify: (session) => new Uint8Array(Buffer.from(JSON.stringify(session), 'utf16le')),
    parse: (bytes) => JSON.parse(Buffer.from(bytes).toString('utf16le')),
  },
  text: {
    stringify: (session) => Buffer.from(JSON.stringify(session)).toString('base64'),
    parse: (text) => JSON.parse(Buffer.from(text, 'base64').toString()),
  },
}
