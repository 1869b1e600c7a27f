'use strict'

/** When what a store on a path has written is put on the disk. */

const { mkdtemp, rm } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')

const { MemoryStore, until } = require('../helpers/stores.js')

test('what was written is synced once, and nothing is where nothing was written', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'memorystore-rs-sync-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const store = new MemoryStore({ path: folder, mapSize: 2 ** 22, syncPeriod: false })
  t.teardown(() => store.close())
  const { store: native } = store
  for (let round = 0; round < 3; round++) {
    await store.set('sid', { round })
    t.true(native.syncLater())
    await until(() => !native.syncLater())
    await store.get('sid')
    await store.prune()
    // A sync that one of the calls began would be under way at the next.
    for (let n = 0; n < 100; n++) t.false(native.syncLater())
  }
})
