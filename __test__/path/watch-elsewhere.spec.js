'use strict'

// `watch` on a path hears of what another process does.

const { rename, rm } = require('node:fs/promises')
const test = require('ava')
const { hastily } = require('../helpers/hastily.js')
const { newFolder, startChild } = require('../helpers/processes.js')
const { MemoryStore, until } = require('../helpers/stores.js')

const HOUR = 3600_000
const MAP_SIZE = 2 ** 22

const newSession = (maxAge = HOUR) => ({ cookie: { maxAge } })

/** A store with sessions of these sids, which all are watched, and another process on its path. */
async function open(t, sids, more = {}) {
  const options = { path: await newFolder(t), mapSize: MAP_SIZE, ...more }
  const store = hastily(() => new MemoryStore(options))
  t.teardown(() => store.close())
  for (const sid of sids) await store.set(sid, newSession())
  const ended = []
  hastily(() => sids.forEach((sid) => store.watch(sid, () => ended.push(sid))))
  return { store, ended, options, other: await startChild(t, options) }
}

test('a session ends when another process destroys it, clears, or lets it expire', async (t) => {
  const { ended, other } = await open(t, ['a', 'b', 'c'])
  await other.call('destroy', 'a')
  await until(() => ended.length > 0)
  await other.call('set', 'b', newSession(1))
  await until(() => ended.length > 1)
  t.deepEqual(ended, ['a', 'b'])
  await other.call('clear')
  await until(() => ended.length > 2)
  t.deepEqual(ended, ['a', 'b', 'c'])
})

test('a session ends when another process evicts it', async (t) => {
  const { ended, other } = await open(t, ['a', 'b'], { max: 2 })
  await other.call('set', 'c', newSession(2 * HOUR))
  await until(() => ended.length > 0)
  t.deepEqual(ended, ['a'])
})

// On Windows, files that are open cannot be removed.
const WHERE_FILES_CAN_GO = process.platform === 'win32' ? test.skip : test

WHERE_FILES_CAN_GO('sessions end with the file that they were in', async (t) => {
  const { ended, options } = await open(t, ['a', 'b'])
  // In one step: a store that noticed half of the removal would put new files into the folder.
  await rename(options.path, `${options.path}-removed`)
  await rm(`${options.path}-removed`, { recursive: true })
  await until(() => ended.length === 2)
  t.deepEqual(ended, ['a', 'b'])
})
