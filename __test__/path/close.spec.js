'use strict'

/** What close means to a store on a path: its sessions stay, its file is let go. */

const { mkdtemp, readFile, rm, stat } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const test = require('ava')

const { MemoryStore, until } = require('../helpers/stores.js')

const EXPIRED = 3000

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'memorystore-rs-close-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

test('close disposes of what was pruned, the next store of what was not', async (t) => {
  const path = await folder(t)
  const disposed = []
  const dispose = (sid) => disposed.push(sid)
  const store = new MemoryStore({ path, dispose, checkPeriod: 5, mapSize: 2 ** 26 })
  for (let n = 0; n < EXPIRED; n++) store.set(`sid-${n}`, { cookie: { maxAge: 1 } }, () => {})
  store.set('alive', { cookie: {} }, () => {})
  await until(() => disposed.length > 0)
  await store.close()
  const before = disposed.length

  const next = new MemoryStore({ path, dispose, mapSize: 2 ** 26 })
  const left = (await next.ids()).filter((sid) => sid !== 'alive')
  t.is(before + left.length, EXPIRED)
  await next.prune()
  t.deepEqual(await next.ids(), ['alive'])
  t.is(disposed.length, EXPIRED)
  t.is(new Set(disposed).size, EXPIRED)
  await next.close()
  t.is(disposed.length, EXPIRED, 'what is alive stays')
})

test('a file that was closed right after a write need not be looked through', async (t) => {
  const path = await folder(t)
  const store = new MemoryStore({ path, mapSize: 2 ** 22 })
  await store.set('sid', { cookie: {}, n: 1 })
  await store.close()
  if (process.platform !== 'linux') return t.pass('there is no note of a clean end')
  const [note, data] = [join(path, 'closed'), join(path, 'data.mdb')]
  t.regex(await readFile(note, 'utf8'), /\d/)
  const { ctimeMs } = await stat(data)
  t.true((await stat(note)).mtimeMs - ctimeMs > 20)
})

test('close in the middle of a prune answers who waits for it, and for a length', async (t) => {
  const store = new MemoryStore({ path: await folder(t), mapSize: 2 ** 28 })
  for (let n = 0; n < 30_000; n++) store.set(`sid-${n}`, { cookie: { maxAge: 1 } }, () => {})
  const pruned = store.prune()
  const length = store.length()
  await store.close()
  t.is(await pruned, undefined)
  t.true((await length) >= 0)
})
