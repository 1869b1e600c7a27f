'use strict'

// The option `encryptionKeys`: what a store on a path or on Redis keeps of its sessions.

const { createSecretKey, randomBytes } = require('node:crypto')
const { mkdtempSync, readFileSync, readdirSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { inspect } = require('node:util')
const v8 = require('node:v8')
const test = require('ava')
const session = require('express-session')
const { connectClient } = require('./helpers/redis-stores.js')
const { servers, startServer } = require('./helpers/redis-servers.js')
const { MemoryStore } = require('./helpers/stores.js')

const HOUR = 3600_000

const ONE = randomBytes(32)
const TWO = randomBytes(32)

const make = (n, more) => ({
  cookie: { originalMaxAge: HOUR, path: '/' },
  user: 'ada-lovelace',
  note: `confidential ${n}`,
  n,
  ...more,
})

/** For each kind of store: how it is opened, and what is stored as text. */
const KINDS = {
  'on a path': (t) => {
    const path = mkdtempSync(join(tmpdir(), 'memorystore-rs-sealed-'))
    t.teardown(() => rmSync(path, { recursive: true }))
    return {
      open: (options) => opened(t, { path, mapSize: 2 ** 22, ...options }),
      stored: () => readdirSync(path).map((file) => readFileSync(join(path, file), 'latin1')),
    }
  },
}

for (const { name, binary } of servers()) {
  KINDS[`on ${name}`] = async (t) => {
    const server = await startServer({ binary })
    t.teardown(() => server.kill())
    const client = await connectClient(t, server.url)
    return {
      client,
      open: async (options) => {
        const redis = await connectClient(t, server.url)
        return opened(t, { redis, timeout: 60_000, touchAfter: 0, ...options })
      },
      stored: async () => {
        const keys = await client.keys('sess:*')
        return Promise.all(keys.map((key) => client.get(key)))
      },
    }
  }
}

function opened(t, options) {
  const store = new MemoryStore(options)
  t.teardown(() => store.close())
  return store
}

async function load(store, sid) {
  return store.createSession({ sessionID: sid, sessionStore: store }, await store.get(sid))
}

for (const [kind, begin] of Object.entries(KINDS)) {
  test(`nothing of a session can be read where it is stored; ${kind}`, async (t) => {
    const { open, stored } = await begin(t)
    const store = await open({ encryptionKeys: ONE })
    await store.set('a', make(1))
    await store.set('b', make(2))
    await store.touch('b', make(2))
    t.is((await store.get('a')).note, 'confidential 1')
    const texts = (await stored()).join()
    t.true(texts.length > 0)
    for (const secret of ['confidential', 'lovelace', 'originalMaxAge']) {
      t.false(texts.includes(secret), secret)
    }
  })

  test(`all that gives sessions decrypts them; ${kind}`, async (t) => {
    const { open } = await begin(t)
    const disposed = []
    const dispose = (sid, body, reason) => disposed.push([sid, JSON.parse(body).n, reason])
    const store = await open({ encryptionKeys: [ONE], dispose, user: 'user' })
    await store.set('a', make(1))
    await store.set('b', make(2))
    const all = await store.all()
    t.deepEqual([all.a.n, all.b.n], [1, 2])
    const entries = []
    for await (const [sid, { n }] of store.entries()) entries.push([sid, n])
    t.deepEqual(entries.sort(), [
      ['a', 1],
      ['b', 2],
    ])
    const list = await store.sessionsOf('ada-lovelace')
    t.deepEqual(list.map(({ session }) => session.n).sort(), [1, 2])
    t.is((await store.info('a')).session.n, 1)
    await store.set('a', make(3))
    await store.destroy('a')
    t.deepEqual(disposed, [
      ['a', 1, 'replaced'],
      ['a', 3, 'destroyed'],
    ])
    t.is(await store.destroyUser('ada-lovelace'), 1)
    t.is(await store.get('b'), undefined)
  })

  test(`requests keep each other’s changes, and a logout stays one; ${kind}`, async (t) => {
    const { open } = await begin(t)
    const store = await open({ encryptionKeys: ONE })
    await store.set('a', make(1))
    const [one, other, late] = [
      await load(store, 'a'),
      await load(store, 'a'),
      await load(store, 'a'),
    ]
    one.x = 1
    other.y = 2
    await store.set('a', one)
    await store.set('a', other)
    await store.touch('a', late)
    const { n, x, y } = await store.get('a')
    t.deepEqual([n, x, y], [1, 1, 2])
    await store.destroy('a')
    await store.set('a', late)
    t.is(await store.get('a'), undefined)
  })

  test(`keys are changed without a logout; ${kind}`, async (t) => {
    const { open } = await begin(t)
    const before = await open({ encryptionKeys: [ONE] })
    await before.set('a', make(1))
    await before.set('b', make(2))
    await before.close()
    const between = await open({ encryptionKeys: [TWO, ONE] })
    t.is((await between.get('a')).n, 1)
    await between.set('a', make(3))
    await between.close()
    const after = await open({ encryptionKeys: [TWO] })
    t.is((await after.get('a')).n, 3)
    await t.throwsAsync(after.get('b'), { code: 'ERR_MEMORYSTORE_KEY' })
  })

  test(`a wrong key is an error, and does no harm; ${kind}`, async (t) => {
    const { open } = await begin(t)
    const right = await open({ encryptionKeys: ONE })
    await right.set('a', make(1))
    await right.close()
    const wrong = await open({ encryptionKeys: TWO })
    for (const call of [wrong.get('a'), wrong.all(), wrong.info('a'), wrong.touch('a', make(1))]) {
      const error = await t.throwsAsync(call, { code: 'ERR_MEMORYSTORE_KEY' })
      t.regex(error.message, /not among the option `encryptionKeys`/)
      t.notRegex(error.message, /damaged|confidential/)
    }
    await wrong.close()
    const again = await open({ encryptionKeys: ONE })
    t.is((await again.get('a')).n, 1)
    const without = await open({})
    await t.throwsAsync(without.get('a'), { message: /not valid JSON/ })
  })

  test(`sessions of before the option are read, and encrypted when they are written; ${kind}`, async (t) => {
    const { open, stored } = await begin(t)
    const before = await open({})
    await before.set('a', make(1))
    await before.close()
    const after = await open({ encryptionKeys: ONE })
    const loaded = await load(after, 'a')
    t.is(loaded.n, 1)
    loaded.n = 2
    await after.set('a', loaded)
    t.is((await after.get('a')).n, 2)
    if (kind !== 'on a path') t.false((await stored()).join().includes('confidential'))
  })

  test(`a serializer’s text and bytes come back as they were; ${kind}`, async (t) => {
    const { open } = await begin(t)
    for (const serializer of [
      { stringify: v8.serialize, parse: (body) => Buffer.isBuffer(body) && v8.deserialize(body) },
      { stringify: (one) => `é${JSON.stringify(one)}`, parse: (text) => JSON.parse(text.slice(1)) },
    ]) {
      const store = await open({ encryptionKeys: ONE, serializer })
      await store.set('a', make(1))
      await store.touch('a', make(1))
      t.is((await store.get('a')).note, 'confidential 1')
      await store.close()
    }
  })
}

for (const [kind, begin] of Object.entries(KINDS).slice(1)) {
  test(`a session that was moved to another sid is refused; ${kind}`, async (t) => {
    const { open, client } = await begin(t)
    const store = await open({ encryptionKeys: ONE })
    await store.set('a', make(1))
    await client.copy('sess:a', 'sess:b')
    const error = await t.throwsAsync(store.get('b'), { code: 'ERR_MEMORYSTORE_KEY' })
    t.regex(error.message, /changed or moved/)
  })
}

test('sids can be hashed too', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'memorystore-rs-sealed-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  const store = opened(t, { path, mapSize: 2 ** 22, encryptionKeys: ONE, hashSids: true })
  await store.set('a', make(1))
  t.is((await store.get('a')).n, 1)
  const [name] = await store.ids()
  t.is({ ...(await store.all()) }[name].n, 1)
})

test('a key is 32 bytes, as bytes, as a KeyObject or as text', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'memorystore-rs-sealed-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  const options = { path, mapSize: 2 ** 22 }
  const first = opened(t, { ...options, encryptionKeys: ONE })
  await first.set('a', make(1))
  for (const key of [
    new Uint8Array(ONE),
    createSecretKey(ONE),
    ...['hex', 'base64', 'base64url'].map((encoding) => ONE.toString(encoding)),
  ]) {
    for (const encryptionKeys of [key, [key], [TWO, key]]) {
      const store = opened(t, { ...options, encryptionKeys })
      t.is((await store.get('a')).n, 1)
      await store.close()
    }
  }
})

test('what is no key is refused, without its text', (t) => {
  const short = 'c2hvcnQ='
  for (const encryptionKeys of [
    ...[null, '', short, 'a secret that is long enough, but no key', 1, true, {}, [], [ONE, short]],
    ...[randomBytes(31), randomBytes(33), [undefined], new Uint16Array(16)],
  ]) {
    const error = t.throws(() => new MemoryStore({ path: 'nowhere', encryptionKeys }), {
      instanceOf: TypeError,
    })
    t.regex(error.message, /`encryptionKeys` .* 32 bytes/)
    t.notRegex(error.message, /secret that|c2hvcnQ/)
  }
})

test('what is in memory or on another store is not encrypted, so the option is refused', (t) => {
  for (const options of [{}, { name: 'sealed' }]) {
    const error = t.throws(() => new MemoryStore({ ...options, encryptionKeys: ONE }))
    t.regex(error.message, /`encryptionKeys` needs the option `path` or `redis`/)
  }
  const backing = new session.MemoryStore()
  const error = t.throws(() => new MemoryStore({ backing, encryptionKeys: ONE }))
  t.regex(error.message, /`encryptionKeys` needs/)
})

test('the keys are not in the store that an application may print', (t) => {
  const path = mkdtempSync(join(tmpdir(), 'memorystore-rs-sealed-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  const key = ONE.toString('hex')
  const store = opened(t, { path, mapSize: 2 ** 22, encryptionKeys: key })
  t.false('encryptionKeys' in store.options)
  const printed = inspect(store, { depth: 10, showHidden: true })
  t.false(printed.includes(key))
  t.false(printed.includes(inspect(ONE).slice(8, 40)))
})
