'use strict'

// `watch` on a backing hears of what other stores do.

const test = require('ava')
const session = require('express-session')
const { SlowStore, oddStore } = require('../helpers/backings.js')
const { hastily, ticks } = require('../helpers/hastily.js')
const { MemoryStore, until } = require('../helpers/stores.js')

const HOUR = 3600_000

const newSession = () => ({ cookie: new session.Cookie({ maxAge: HOUR }) })

function open(t, backing, options) {
  const store = new MemoryStore({ ...options, backing })
  t.teardown(() => store.close())
  return store
}

/** Watches the sessions. Returns the sids of those that have ended, in order. */
function watchAll(store, sids) {
  const ended = []
  hastily(() => sids.forEach((sid) => store.watch(sid, () => ended.push(sid))))
  return ended
}

async function someTicks() {
  const before = ticks()
  await until(() => ticks() > before + 3)
}

test('a session ends when another store removes it, whatever copies there are', async (t) => {
  const backing = new SlowStore()
  const [store, other] = [0, 1].map(() => open(t, backing, { maxStale: HOUR }))
  for (const sid of ['a', 'b', 'c']) await store.set(sid, newSession())
  const ended = watchAll(store, ['a', 'b', 'c'])
  await other.destroy('a')
  await until(() => ended.length === 1)
  await new Promise((resolve) => backing.destroy('b', resolve))
  await until(() => ended.length === 2)
  await other.clear()
  await until(() => ended.length === 3)
  t.deepEqual(ended, ['a', 'b', 'c'])
})

test.serial('a backing that fails is no end', async (t) => {
  let isDown = false
  const { get } = SlowStore.prototype
  const backing = oddStore({
    get(sid, fn) {
      return isDown ? setImmediate(fn, new Error('down')) : get.call(this, sid, fn)
    },
  })
  const store = open(t, backing)
  for (const sid of ['a', 'b']) await store.set(sid, newSession())
  const ended = watchAll(store, ['a', 'b'])
  await someTicks()
  isDown = true
  await new Promise((resolve) => backing.destroy('a', resolve))
  await someTicks()
  t.deepEqual(ended, [])
  isDown = false
  await until(() => ended.length > 0)
  t.deepEqual(ended, ['a'])
})

test.serial('an answer from before a watch does not end it', async (t) => {
  const held = []
  const { get } = SlowStore.prototype
  const backing = oddStore({
    get(sid, fn) {
      return get.call(this, sid, (...answer) => {
        if (held.isOver) fn(...answer)
        else held.push(() => fn(...answer))
      })
    },
  })
  const store = open(t, backing)
  watchAll(store, ['a'])
  await until(() => held.length > 0)
  await store.set('a', newSession())
  const ended = watchAll(store, ['a'])
  for (const answer of held.splice(0)) answer()
  held.isOver = true
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(ended, [])
  await store.destroy('a')
  await until(() => ended.length === 1)
})
