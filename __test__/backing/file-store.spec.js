'use strict'

/** Stores on session-file-store: a file for each session, and ENOENT where there is none. */

const { mkdtemp, readdir, rm } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')
const session = require('express-session')
const FileStore = require('session-file-store')(session)
const { MemoryStore } = require('../helpers/stores.js')

const HOUR = 3600_000

async function open(t) {
  const path = await mkdtemp(join(tmpdir(), 'memorystore-rs-files-'))
  const options = { path, retries: 0, reapInterval: -1, logFn: () => {} }
  const store = new MemoryStore({
    backing: new FileStore(options),
    timeout: 600_000,
    maxStale: 0,
    touchAfter: 0,
  })
  t.teardown(async () => {
    await store.close()
    await rm(path, { recursive: true, force: true })
  })
  return { store, path }
}

const fresh = (fields) => ({ cookie: new session.Cookie({ maxAge: HOUR }), ...fields })

async function load(store) {
  return store.createSession({ sessionID: 'sid', sessionStore: store }, await store.get('sid'))
}

test('a session without a file is none', async (t) => {
  const { store } = await open(t)
  t.is(await store.get('sid'), undefined)
  await store.touch('sid', fresh())
  await store.destroy('sid')
  t.is(await store.length(), 0)
})

test('writes are merged, a logout stays, and touches bring nothing back', async (t) => {
  const { store, path } = await open(t)
  await store.set('sid', fresh({ user: 'ada' }))
  const [one, other] = [await load(store), await load(store)]
  one.a = 1
  other.b = 1
  await store.set('sid', one)
  await store.set('sid', other)
  t.is(store.stats().merges, 1)
  other.touch()
  await store.touch('sid', other)
  const { user, a, b } = await store.get('sid')
  t.deepEqual([user, a, b], ['ada', 1, 1])

  await store.destroy('sid')
  await store.set('sid', one)
  await store.touch('sid', one)
  t.deepEqual(await readdir(path), [])
})

test('the files are counted and cleared, and cannot be listed', async (t) => {
  const { store } = await open(t)
  await store.set('a', fresh())
  await store.set('b', fresh())
  t.is(await store.length(), 2)
  await t.throwsAsync(store.ids(), { code: 'ERR_MEMORYSTORE_UNSUPPORTED' })
  await store.clear()
  t.is(await store.length(), 0)
})
