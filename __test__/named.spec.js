'use strict'

// Stores that share their sessions by name: within a thread, and with worker threads. Workers run
// the functions below, by their names, each with a store of its own of one name.

const { once } = require('node:events')
const { join } = require('node:path')
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads')

const session = require('express-session')
const MemoryStore = require('..')(session)

const COOKIE = { originalMaxAge: 3600_000, path: '/' }

/** What a worker does with its store; what it returns goes to the test. */
const TASKS = {
  write: async (store, { sid, value }) => {
    await store.set(sid, value)
  },

  read: async (store, { sid }) => {
    const value = await store.get(sid)
    return value ?? null
  },

  destroy: async (store, { sid }) => {
    await store.destroy(sid)
  },

  /** Adds keys of its own to one session, as that many requests do. */
  addKeys: async (store, { sid, prefix, count }) => {
    for (let n = 0; n < count; n++) {
      const loaded = store.createSession({ sessionID: sid }, await store.get(sid))
      loaded[`${prefix}${n}`] = n
      await store.set(sid, loaded)
    }
  },

  fillWithExpired: async (store, { count }) => {
    for (let n = 0; n < count; n++) store.set(`expired-${n}`, { cookie: { maxAge: -1 } }, () => {})
    await store.prune()
    return store.length()
  },

  close: (store) => store.close(),
}

async function work({ options }) {
  const store = new MemoryStore(options)
  parentPort.on('message', async ({ task, args }) => {
    try {
      parentPort.postMessage({ result: await TASKS[task](store, args) })
    } catch (err) {
      parentPort.postMessage({ code: err.code, message: err.message })
    }
  })
  parentPort.postMessage({ result: 'ready' })
}

if (isMainThread) declareTests()
else work(workerData)

function declareTests() {
  const test = require('ava')
  let names = 0
  const newName = () => `named-${process.pid}-${names++}`

  function open(t, options) {
    const store = new MemoryStore(options)
    t.teardown(() => store.close())
    return store
  }

  /** A worker with a store; `run(task, args)` has it do something. */
  async function startWorker(t, options) {
    const worker = new Worker(join(__dirname, 'named.spec.js'), { workerData: { options } })
    t.teardown(() => worker.terminate())
    const answer = async () => {
      const [{ result, message, code }] = await once(worker, 'message')
      if (message !== undefined) throw Object.assign(new Error(message), { code })
      return result
    }
    await answer()
    const run = (task, args = {}) => {
      worker.postMessage({ task, args })
      return answer()
    }
    return { run, terminate: () => worker.terminate() }
  }

  test('stores of one name have the same sessions, others have not', async (t) => {
    const name = newName()
    const [one, same, other, own] = [name, name, newName(), undefined].map((each) =>
      open(t, { name: each }),
    )
    await one.set('sid', { n: 1 })
    t.deepEqual(await same.get('sid'), { n: 1 })
    t.is(await other.get('sid'), undefined)
    t.is(await own.get('sid'), undefined)
    await same.destroy('sid')
    t.is(await one.get('sid'), undefined)
    t.deepEqual(one.stats(), same.stats())
  })

  test('all worker threads see what one has written, at once', async (t) => {
    const options = { name: newName() }
    const store = open(t, options)
    const workers = await Promise.all([1, 2, 3].map(() => startWorker(t, options)))
    for (const [n, { run }] of workers.entries()) {
      await run('write', { sid: `sid-${n}`, value: { n } })
      t.deepEqual(await store.get(`sid-${n}`), { n })
      for (const other of workers) t.deepEqual(await other.run('read', { sid: `sid-${n}` }), { n })
    }
    await store.destroy('sid-1')
    t.is(await workers[2].run('read', { sid: 'sid-1' }), null)
  })

  test('requests of several threads keep each other’s writes of one session', async (t) => {
    const options = { name: newName() }
    const store = open(t, options)
    await store.set('sid', { cookie: COOKIE })
    const prefixes = ['a', 'b', 'c']
    const workers = await Promise.all(prefixes.map(() => startWorker(t, options)))
    const count = 200
    await Promise.all([
      ...workers.map(({ run }, i) => run('addKeys', { sid: 'sid', prefix: prefixes[i], count })),
      TASKS.addKeys(store, { sid: 'sid', prefix: 'main', count }),
    ])
    const kept = Object.keys(await store.get('sid')).filter((key) => key !== 'cookie')
    t.is(kept.length, 4 * count)
  })

  test('a logout in one thread is one for the requests of all', async (t) => {
    const options = { name: newName() }
    const store = open(t, options)
    await store.set('sid', { cookie: COOKIE, user: 'ada' })
    const slow = store.createSession({ sessionID: 'sid' }, await store.get('sid'))
    const { run } = await startWorker(t, options)
    await run('destroy', { sid: 'sid' })
    slow.page = 'slow'
    await store.set('sid', slow)
    t.is(await store.get('sid'), undefined)
    t.is(store.stats().refusedWrites, 1)
  })

  test('a prune by one thread is one for all', async (t) => {
    const options = { name: newName() }
    const store = open(t, options)
    await store.set('alive', { cookie: COOKIE })
    const { run } = await startWorker(t, options)
    t.is(await run('fillWithExpired', { count: 5000 }), 1)
    t.deepEqual(await store.ids(), ['alive'])
  })

  test('the sessions go when the last store of the name is closed', async (t) => {
    const options = { name: newName() }
    const [one, other] = [open(t, options), open(t, options)]
    const { run } = await startWorker(t, options)
    await one.set('sid', { n: 1 })
    await one.close()
    t.deepEqual(await other.get('sid'), { n: 1 })
    await other.close()
    t.deepEqual(await run('read', { sid: 'sid' }), { n: 1 })
    await run('close')
    t.is(await open(t, options).get('sid'), undefined)
  })

  test('a worker that is terminated leaves the sessions to the others', async (t) => {
    const options = { name: newName() }
    const store = open(t, options)
    for (let n = 0; n < 5; n++) {
      const { run, terminate } = await startWorker(t, options)
      await run('write', { sid: `sid-${n}`, value: { n } })
      await terminate()
    }
    t.is(await store.length(), 5)
    await store.close()
    t.is(await open(t, options).length(), 0, 'it was the last')
  })

  test('what is removed is disposed of once, by the store that removed it', async (t) => {
    const name = newName()
    const disposed = { one: [], other: [] }
    const openWith = (key) => open(t, { name, max: 2, dispose: (sid) => disposed[key].push(sid) })
    const [one, other] = [openWith('one'), openWith('other')]
    await one.set('a', {})
    await other.set('b', {})
    await one.destroy('b')
    await other.set('c', {})
    await other.set('d', {})
    t.deepEqual(disposed, { one: ['b'], other: ['a'] })
    await one.close()
    t.deepEqual(disposed, { one: ['b'], other: ['a'] }, 'the other one has them still')
    await other.close()
    t.deepEqual(disposed, { one: ['b'], other: ['a', 'd', 'c'] })
  })

  test('options that the stores of a name have to share are compared', async (t) => {
    const name = newName()
    open(t, { name, max: 10 })
    for (const [options, option] of [
      [{}, 'max'],
      [{ max: 10, maxBytes: 1e6 }, 'maxBytes'],
      [{ max: 10, stale: true }, 'stale'],
      [{ max: 10, dispose: () => {} }, 'dispose'],
      [{ max: 10, destroyed: 'final' }, 'destroyed'],
      [{ max: 10, touchAfter: 5 }, 'touchAfter'],
    ]) {
      t.throws(() => new MemoryStore({ name, ...options }), {
        code: 'ERR_MEMORYSTORE_NAME',
        message: `memorystore-rs: the store named "${name}" is open with another \`${option}\`; all stores that share it have to give the same value. Close the other store first; one that is no longer referenced goes away once it is garbage-collected`,
      })
    }
    t.notThrows(() => open(t, { name, max: 10, ttl: 5, checkPeriod: 1000, conflict: 'overwrite' }))
  })

  test('a name that is none is an error', (t) => {
    for (const [name, kind] of [
      ['', 'empty'],
      [5, 'a number'],
      [null, 'null'],
      [{}, 'an object'],
    ]) {
      t.throws(() => new MemoryStore({ name }), {
        instanceOf: TypeError,
        message: `memorystore-rs: the option \`name\` is ${kind}; it has to be a string that is not empty`,
      })
    }
  })

  test('what was removed for a thread that is gone is disposed of by the next call', async (t) => {
    const disposed = []
    const options = { name: 'left-behind', dispose: (sid) => disposed.push(sid) }
    const gone = new MemoryStore(options)
    const other = new MemoryStore(options)
    for (let n = 0; n < 2000; n++) gone.set(`sid-${n}`, { cookie: { maxAge: -1 } }, () => {})
    // As a worker's checkPeriod does that is terminated before it comes to dispose.
    gone.store.prune(Date.now())
    t.is(disposed.length, 0)
    await other.set('sid', { cookie: COOKIE })
    await other.prune()
    t.is(disposed.length, 2000)
    gone.close()
    other.close()
  })
}
