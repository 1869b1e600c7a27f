'use strict'

/**
 * Two stores on one backing, as two processes have them: what one of them does to a session that the
 * other has read. Where that is weaker than on Redis, a test says how.
 */

require('../helpers/dated-clock.js')

const test = require('ava')
const FakeTimers = require('@sinonjs/fake-timers')
const session = require('express-session')
const { oddStore } = require('../helpers/backings.js')
const { MemoryStore, until } = require('../helpers/stores.js')

const HOUR = 3600_000

function openTwo(t, options, methods) {
  const clock = FakeTimers.install({ now: Date.now(), toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  const backing = oddStore(methods)
  const [one, other] = [0, 1].map(() => {
    const store = new MemoryStore({ touchAfter: 0, ...options, backing })
    t.teardown(() => store.close())
    return store
  })
  return { clock, backing, one, other }
}

const fresh = (fields) => ({ cookie: new session.Cookie({ maxAge: HOUR }), ...fields })

async function load(store) {
  const read = await store.get('sid')
  return read && store.createSession({ sessionID: 'sid', sessionStore: store }, read)
}

async function fieldsIn(store) {
  const { cookie, ...fields } = (await store.get('sid')) ?? {}
  return cookie && fields
}

/** A method of a store that stops before it is done, and after it was if `isAfter`. */
function gated(method, isAfter) {
  const gate = { waiting: 0, isOpen: true }
  gate.open = () => {
    gate.isOpen = true
    for (const pass of gate.held.splice(0)) pass()
  }
  gate.held = []
  const hold = (pass) => {
    if (gate.isOpen) return pass()
    gate.waiting++
    gate.held.push(pass)
    return undefined
  }
  gate.method = function (...args) {
    const fn = args.pop()
    if (isAfter) return method.call(this, ...args, (...results) => hold(() => fn(...results)))
    return hold(() => method.call(this, ...args, fn))
  }
  return gate
}

test.serial('what another one wrote is seen after maxStale', async (t) => {
  const { clock, one, other } = openTwo(t, { maxStale: 500 })
  await one.set('sid', fresh({ n: 1 }))
  t.deepEqual(await fieldsIn(other), { n: 1 })
  await one.set('sid', fresh({ n: 2 }))
  t.deepEqual(await fieldsIn(one), { n: 2 }, 'what it wrote itself at once')
  clock.tick(499)
  t.deepEqual(await fieldsIn(other), { n: 1 })
  clock.tick(1)
  t.deepEqual(await fieldsIn(other), { n: 2 })
})

test.serial(
  'what another one destroyed is gone after maxStale, and is not written before',
  async (t) => {
    const { clock, one, other } = openTwo(t, { maxStale: 500 })
    await one.set('sid', fresh())
    const loaded = await load(other)
    await one.destroy('sid')
    t.is(await fieldsIn(one), undefined)
    t.deepEqual(await fieldsIn(other), {})
    loaded.n = 1
    await other.set('sid', loaded)
    await other.touch('sid', loaded)
    t.is(other.stats().refusedWrites, 1)
    clock.tick(500)
    t.is(await fieldsIn(other), undefined)
  },
)

test.serial('with maxStale 0 every read is asked for', async (t) => {
  const { backing, one, other } = openTwo(t, { maxStale: 0 })
  await one.set('sid', fresh({ n: 1 }))
  t.deepEqual(await fieldsIn(other), { n: 1 })
  await one.set('sid', fresh({ n: 2 }))
  t.deepEqual(await fieldsIn(other), { n: 2 })
  t.is(backing.calls.length, 4)
})

test.serial('what is cached is bounded by max, and by its own life', async (t) => {
  const { clock, one } = openTwo(t, { maxStale: HOUR, max: 2 })
  for (const sid of ['a', 'b', 'sid']) await one.set(sid, fresh())
  t.is(one.stats().sessions, 2)
  await one.set('sid', { cookie: new session.Cookie({ maxAge: 1000 }) })
  t.deepEqual(await fieldsIn(one), {})
  clock.tick(1001)
  t.is(await fieldsIn(one), undefined)
})

test.serial('writes of two requests in two processes are merged', async (t) => {
  const { one, other } = openTwo(t, { maxStale: HOUR })
  await one.set('sid', fresh({ user: 'ada', draft: 1 }))
  const [mine, theirs] = [await load(one), await load(other)]
  mine.a = 1
  delete theirs.draft
  theirs.b = 1
  await one.set('sid', mine)
  await other.set('sid', theirs)
  t.deepEqual(await fieldsIn(other), { user: 'ada', a: 1, b: 1 })
  t.is(other.stats().merges, 1)
})

test.serial('weaker than Redis: of two writes within a round trip one is lost', async (t) => {
  const gate = gated(session.MemoryStore.prototype.get, true)
  const memory = new session.MemoryStore()
  const methods = {
    get: gate.method.bind(memory),
    set: (...args) => memory.set(...args),
  }
  const { one, other } = openTwo(t, { maxStale: 0 }, methods)
  await one.set('sid', fresh())
  const [mine, theirs] = [await load(one), await load(other)]
  mine.a = 1
  theirs.b = 1
  gate.isOpen = false
  const writes = [one.set('sid', mine), other.set('sid', theirs)]
  await until(() => gate.waiting === 2)
  gate.open()
  await Promise.all(writes)
  t.is(Object.keys(await fieldsIn(one)).length, 1)
})

test.serial('weaker than Redis: a logout within the round trip of a write is undone', async (t) => {
  const gate = gated(session.MemoryStore.prototype.set)
  const memory = new session.MemoryStore()
  const methods = {
    get: (...args) => memory.get(...args),
    set: gate.method.bind(memory),
    destroy: (...args) => memory.destroy(...args),
  }
  const { one, other } = openTwo(t, { maxStale: 0 }, methods)
  await one.set('sid', fresh({ n: 1 }))
  const loaded = await load(one)
  gate.isOpen = false
  const written = one.set('sid', loaded)
  await until(() => gate.waiting === 1)
  await other.destroy('sid')
  gate.open()
  await written
  t.deepEqual(await fieldsIn(other), { n: 1 })
})

test.serial('in one process it is not: a destroy waits for the write that was sent', async (t) => {
  const gate = gated(session.MemoryStore.prototype.set)
  const memory = new session.MemoryStore()
  const methods = {
    get: (...args) => memory.get(...args),
    set: gate.method.bind(memory),
    destroy: (...args) => memory.destroy(...args),
  }
  const { one } = openTwo(t, {}, methods)
  await one.set('sid', fresh({ n: 1 }))
  const loaded = await load(one)
  gate.isOpen = false
  const written = one.set('sid', loaded)
  await until(() => gate.waiting === 1)
  const destroyed = one.destroy('sid')
  t.is(await fieldsIn(one), undefined, 'and nobody reads it any more')
  gate.open()
  await Promise.all([written, destroyed])
  t.is(await fieldsIn(one), undefined)
  t.deepEqual(Object.keys(memory.sessions), [])
})

test.serial('a clear takes the write that was sent before along', async (t) => {
  const gate = gated(session.MemoryStore.prototype.set)
  const memory = new session.MemoryStore()
  const methods = {
    get: (...args) => memory.get(...args),
    set: gate.method.bind(memory),
    destroy: (...args) => memory.destroy(...args),
    clear: (...args) => memory.clear(...args),
  }
  const { one } = openTwo(t, {}, methods)
  await one.set('sid', fresh())
  gate.isOpen = false
  const written = one.set('sid', await load(one))
  await until(() => gate.waiting === 1)
  await one.clear()
  gate.open()
  await written
  t.deepEqual(Object.keys(memory.sessions), [])
})

test.serial('a read that was sent before a change of this process is not kept', async (t) => {
  const gate = gated(session.MemoryStore.prototype.get, true)
  const memory = new session.MemoryStore()
  const methods = {
    get: gate.method.bind(memory),
    set: (...args) => memory.set(...args),
    destroy: (...args) => memory.destroy(...args),
  }
  const { one, other } = openTwo(t, { maxStale: HOUR }, methods)
  await other.set('sid', fresh({ n: 1 }))
  gate.isOpen = false
  const read = fieldsIn(one)
  await until(() => gate.waiting === 1)
  await one.set('sid', fresh({ n: 2 }))
  gate.open()
  t.deepEqual(await read, { n: 1 })
  t.deepEqual(await fieldsIn(one), { n: 2 })

  await other.set('sid', fresh({ n: 3 }))
  const third = new MemoryStore({ backing: one, maxStale: HOUR })
  t.teardown(() => third.close())
  t.deepEqual(await fieldsIn(third), { n: 2 }, 'a store can be the backing of another')
})

test.serial('a read that was sent before a destroy finds nothing', async (t) => {
  const gate = gated(session.MemoryStore.prototype.get, true)
  const memory = new session.MemoryStore()
  const methods = {
    get: gate.method.bind(memory),
    set: (...args) => memory.set(...args),
    destroy: (...args) => memory.destroy(...args),
  }
  const { one, other } = openTwo(t, { maxStale: HOUR }, methods)
  await other.set('sid', fresh({ n: 1 }))
  gate.isOpen = false
  const read = fieldsIn(one)
  await until(() => gate.waiting === 1)
  await one.destroy('sid')
  gate.open()
  t.is(await read, undefined)
  t.is(await fieldsIn(one), undefined)
})

test.serial('weaker than Redis: final is known to the process that destroyed', async (t) => {
  const { clock, one, other } = openTwo(t, { destroyed: 'final' })
  await one.set('sid', fresh())
  await one.destroy('sid')
  await one.set('sid', fresh({ n: 1 }))
  t.is(await fieldsIn(one), undefined)
  t.is(one.stats().refusedWrites, 1)
  await other.set('sid', fresh({ n: 2 }))
  t.deepEqual(await fieldsIn(one), { n: 2 })
  await one.destroy('sid')
  clock.tick(10 * 60_000 + 1)
  await one.set('sid', fresh({ n: 3 }))
  t.deepEqual(await fieldsIn(one), { n: 3 })
})

test.serial('a session that was destroyed is not written by a request of long ago', async (t) => {
  const { clock, one, other } = openTwo(t, { maxStale: 0 })
  await one.set('sid', fresh())
  const loaded = await load(other)
  loaded.touch()
  await one.destroy('sid')
  clock.tick(HOUR - 1000)
  await other.set('sid', loaded)
  t.is(await fieldsIn(other), undefined)
  clock.tick(2000)
  loaded.touch()
  await other.set('sid', loaded)
  t.deepEqual(await fieldsIn(other), {}, 'unless it may have expired by itself')
})

test.serial('writes of one process to one session take turns', async (t) => {
  const { backing, one } = openTwo(t, { maxStale: HOUR })
  await one.set('sid', fresh())
  const loaded = await Promise.all(Array.from({ length: 20 }, () => load(one)))
  backing.calls.length = 0
  await Promise.all(
    loaded.map((mine, n) => {
      mine[`key${n}`] = n
      return one.set('sid', mine)
    }),
  )
  t.is(Object.keys(await fieldsIn(one)).length, 20)
  t.is(backing.calls.length, 4, 'a get and a set for the first, and for all that waited for it')
})
