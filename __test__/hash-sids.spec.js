'use strict'

// The option `hashSids`: what is stored and listed is no sid, and nobody can make a cookie of it.

const { mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')
const session = require('express-session')
const { MemoryStore } = require('./helpers/stores.js')
const { connectClient } = require('./helpers/redis-stores.js')
const { servers, startServer } = require('./helpers/redis-servers.js')

const HOUR = 3600_000

const make = (n) => ({ cookie: { originalMaxAge: HOUR, path: '/' }, user: 'ada', n })

const IS_NAME = /^h1:[\w-]{28}$/

/** For each kind of store, `open(t, options)`: the options, and what is stored as text. */
const KINDS = {
  'in memory': () => ({ options: {} }),
  'with a name': (t) => ({ options: { name: t.title } }),
  'on a path': (t) => {
    const path = mkdtempSync(join(tmpdir(), 'memorystore-rs-hashed-'))
    t.teardown(() => rmSync(path, { recursive: true }))
    const files = () => readdirSync(path, { recursive: true, withFileTypes: true })
    const stored = () =>
      files()
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'latin1'))
    return { options: { path, mapSize: 2 ** 22 }, stored }
  },
  'on another store': () => {
    const backing = new session.MemoryStore()
    return { options: { backing }, stored: () => Object.keys(backing.sessions), hasNoUsers: true }
  },
}

for (const { name, binary } of servers()) {
  KINDS[`on ${name}`] = async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    const client = await connectClient(t, server.url)
    const redis = await connectClient(t, server.url)
    return { options: { redis, timeout: 60_000 }, stored: () => dumpOf(client) }
  }
}

for (const [kind, begin] of Object.entries(KINDS)) {
  test(`what is stored and listed is no sid; ${kind}`, async (t) => {
    const { options, stored, hasNoUsers } = await begin(t)
    const disposed = []
    const dispose = (name) => disposed.push(name)
    const users = hasNoUsers ? {} : { user: 'user' }
    const store = new MemoryStore({ hashSids: true, dispose, ...users, ...options })
    t.teardown(() => store.close())
    await store.set('secret-1', make(1))
    await store.set('secret-2', make(2))
    await store.touch('secret-1', make(1))
    t.is((await store.get('secret-1')).n, 1)

    const listed = [Object.keys(await store.all()), await store.ids(), await fromKeys(store)]
    for (const names of listed) {
      t.is(names.length, 2)
      for (const name of names) t.regex(name, IS_NAME)
    }
    const [name] = await store.ids()
    for (const call of [store.get(name), store.touch(name, make(9)), store.get(`${name}x`)]) {
      t.is(await call, undefined)
    }
    await store.set(name, make(3))
    t.is(await store.length(), 3)
    t.is((await store.get('secret-2')).n, 2)
    await store.destroy('secret-2')
    t.is(await store.get('secret-2'), undefined)
    t.true(disposed.length > 0)
    const seen = [...disposed, ...((await stored?.()) ?? [])].join()
    t.false(seen.includes('secret'))
  })

  test(`a session can be told of and ended by the name that is listed; ${kind}`, async (t) => {
    const { options } = await begin(t)
    const store = new MemoryStore({ hashSids: true, ...options })
    t.teardown(() => store.close())
    await store.set('secret-1', make(1))
    const [name] = await store.ids()
    if (!options.backing) {
      t.is((await store.info(name)).session.n, 1)
      t.is((await store.info('secret-1')).id, (await store.info(name)).id)
    }
    const ended = new Promise((resolve) => store.watch(name, resolve))
    await store.destroy(name)
    await ended
    t.is(await store.get('secret-1'), undefined)
  })
}

test('the sessions of a user are listed and ended by sid and by handle', async (t) => {
  const store = new MemoryStore({ hashSids: true, user: 'user', maxPerUser: 3 })
  for (const n of [1, 2, 3, 4]) await store.set(`secret-${n}`, make(n))
  const list = await store.sessionsOf('ada', { current: 'secret-3' })
  t.deepEqual(
    list.map(({ session, current }) => [session.n, current]),
    [
      [4, false],
      [3, true],
      [2, false],
    ],
  )
  t.false(JSON.stringify(list).includes('secret'))
  t.is(await store.destroyUser('ada', { only: list[0].id }), 1)
  t.is(await store.destroyUser('ada', { except: 'secret-3' }), 1)
  t.is((await store.get('secret-3')).n, 3)
  await store.close()
})

test('a logout stays a logout, and requests are merged', async (t) => {
  const store = new MemoryStore({ hashSids: true })
  const load = async () =>
    store.createSession({ sessionID: 'secret', sessionStore: store }, await store.get('secret'))
  await store.set('secret', make(1))
  const [one, other, late] = [await load(), await load(), await load()]
  one.a = 1
  other.b = 2
  await store.set('secret', one)
  await store.set('secret', other)
  const { a, b } = await store.get('secret')
  t.deepEqual([a, b], [1, 2])
  await store.destroy('secret')
  await store.set('secret', late)
  t.is(await store.get('secret'), undefined)
  await store.close()
})

test('a store on the same path without the option has other sessions', async (t) => {
  const { options } = KINDS['on a path'](t)
  const hashed = new MemoryStore({ ...options, hashSids: true })
  const plain = new MemoryStore(options)
  await hashed.set('secret', make(1))
  t.is(await plain.get('secret'), undefined)
  const [name] = await hashed.ids()
  t.is(await plain.get(name), undefined)
  await Promise.all([hashed.close(), plain.close()])
})

test('stores of a name agree in the option', async (t) => {
  const store = new MemoryStore({ name: 'agrees', hashSids: true })
  const error = t.throws(() => new MemoryStore({ name: 'agrees' }))
  t.is(error.code, 'ERR_MEMORYSTORE_NAME')
  t.regex(error.message, /`hashSids`/)
  await store.close()
})

test('a value that is no boolean is refused', (t) => {
  for (const hashSids of ['yes', 1, 0, null, 'false', {}]) {
    const error = t.throws(() => new MemoryStore({ hashSids }), { instanceOf: TypeError })
    t.regex(error.message, /`hashSids` is .* it has to be a boolean/)
  }
  t.notThrows(() => new MemoryStore({ hashSids: undefined }))
})

test('two sids never have one name, and numbers are sids like text', async (t) => {
  const store = new MemoryStore({ hashSids: true })
  const sids = [
    '',
    '1',
    'é',
    '\ud800',
    '\ud801',
    '\ufffd',
    'x'.repeat(100_000),
    'h1:',
    'h1:é',
    '\0',
    'É',
  ]
  for (const [n, sid] of sids.entries()) await store.set(sid, make(n))
  for (const [n, sid] of sids.entries()) t.is((await store.get(sid)).n, n)
  t.is((await store.get(1)).n, 1)
  await store.close()
})

/** All that a server has, as text: keys, and what is under them. */
async function dumpOf(client) {
  const reads = {
    string: (key) => client.get(key),
    zset: (key) => client.zRange(key, 0, -1),
    hash: (key) => client.hGetAll(key),
    set: (key) => client.sMembers(key),
  }
  const parts = []
  for (const key of await client.keys('*')) {
    parts.push(key, JSON.stringify(await reads[await client.type(key)](key)))
  }
  return parts
}

test('what is no sid is none either if it reads like a listed name', async (t) => {
  const store = new MemoryStore({ hashSids: true })
  await store.set('secret', make(1))
  const [name] = await store.ids()
  for (const sid of [[name], { toString: () => name }]) {
    for (const call of [store.info(sid), store.destroy([sid])]) {
      const error = await t.throwsAsync(call, { code: 'ERR_INVALID_ARG_TYPE' })
      t.regex(error.message, /the sid/)
    }
    t.throws(() => store.watch(sid, () => {}), { code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.is(await store.length(), 1)
  await store.close()
})

async function fromKeys(store) {
  const names = []
  for await (const name of store.keys()) names.push(name)
  return names
}
