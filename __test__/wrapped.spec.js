'use strict'

// Stores behind something else, as tracing, dependency injection and mocks put them, and in
// environments that lack globals.

const express = require('express')
const FakeTimers = require('@sinonjs/fake-timers')
const session = require('express-session')
const test = require('ava')

const { MemoryStore, callbackArguments } = require('./helpers/stores.js')
const { runScript } = require('./helpers/process.js')

const WRAPPERS = {
  'a Proxy': (store) => new Proxy(store, {}),
  'a Proxy that looks at each access': (store) =>
    new Proxy(store, {
      get: (target, name, receiver) => Reflect.get(target, name, receiver),
      set: (target, name, value, receiver) => Reflect.set(target, name, value, receiver),
    }),
  'a Proxy that binds methods': (store) =>
    new Proxy(store, {
      get: (target, name) => {
        const value = target[name]
        return typeof value === 'function' ? value.bind(target) : value
      },
    }),
  'Object.create': (store) => Object.create(store),
  'Object.create of a Proxy': (store) => Object.create(new Proxy(store, {})),
}

for (const [name, wrap] of Object.entries(WRAPPERS)) {
  test(`every method works through ${name}`, async (t) => {
    const disposed = []
    for (const options of [{ checkPeriod: 1000 }, { dispose: (sid) => disposed.push(sid) }]) {
      const store = wrap(new MemoryStore(options))
      await store.set('a', { cookie: {}, n: 1 })
      await store.touch('a', { cookie: { path: '/' } })
      t.deepEqual(await store.get('a'), { cookie: { path: '/' }, n: 1 })
      t.deepEqual(await callbackArguments(store, 'ids'), [null, ['a']])
      t.deepEqual(Object.keys(await store.all()), ['a'])
      t.is(await store.length(), 1)
      for await (const sid of store.keys()) t.is(sid, 'a')
      for await (const [sid] of store.entries()) t.is(sid, 'a')
      t.is(store.stats().sessions, 1)
      await store.prune()
      store.startInterval()
      store.stopInterval()
      await store.destroy('a')
      await store.clear()
      t.is(await store.length(), 0)
      await store.close()
      await t.throwsAsync(store.get('a'), { code: 'ERR_MEMORYSTORE_CLOSED' })
    }
    t.deepEqual(disposed, ['a', 'a'], 'of what the touch replaced, and of the session')
  })

  test(`requests are answered through ${name}, and a logout stays a logout`, async (t) => {
    const app = express()
    const store = wrap(new MemoryStore())
    app.use(session({ secret: 's', resave: false, saveUninitialized: false, store }))
    app.get('/', (req, res) => {
      req.session.n = (req.session.n ?? 0) + 1
      res.end(String(req.session.n))
    })
    let pass
    const passed = new Promise((resolve) => (pass = resolve))
    let arrive
    const arrived = new Promise((resolve) => (arrive = resolve))
    app.get('/slow', async (req, res) => {
      arrive()
      await passed
      req.session.n = 100
      res.end()
    })
    app.get('/logout', (req, res) => req.session.destroy(() => res.end()))
    const server = app.listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const url = `http://127.0.0.1:${server.address().port}`
    const first = await fetch(url)
    const headers = { cookie: first.headers.get('set-cookie').split(';')[0] }
    const visit = async (path) => (await fetch(url + path, { headers })).text()
    t.deepEqual([await first.text(), await visit('/'), await visit('/')], ['1', '2', '3'])
    const slow = visit('/slow')
    await arrived
    await visit('/logout')
    pass()
    await slow
    t.is(await visit('/'), '1')
    server.closeAllConnections()
  })
}

test.serial('the timer of a store goes on when the Proxy that started it is gone', async (t) => {
  const clock = FakeTimers.install({ now: 1_700_000_000_000 })
  t.teardown(() => clock.uninstall())
  const store = new MemoryStore({ checkPeriod: 1000 })
  new Proxy(store, {}).startInterval()
  store.set('a', { cookie: { maxAge: 10 } }, () => {})
  globalThis.gc?.()
  clock.tick(1000)
  t.is(store.stats().prunes, 1)
  store.close(() => {})
})

test('it needs none of the globals that Jest’s jsdom environment lacks', async (t) => {
  const { code, stdout, stderr } = await runScript(
    `const own = ['setImmediate', 'clearImmediate', 'setTimeout', 'clearTimeout', 'setInterval',
       'clearInterval', 'structuredClone', 'URL', 'TextEncoder', 'TextDecoder', 'queueMicrotask']
     const { setInterval, clearInterval } = globalThis
     for (const name of own) delete globalThis[name]
     // jsdom's timers are numbers.
     let timers = 0
     Object.assign(globalThis, { setInterval: () => ++timers, clearInterval() {} })
     const MemoryStore = require('.')(require('express-session'))
     const store = new MemoryStore({ checkPeriod: 1000, dispose() {} })
     store.set('a', { cookie: {} }, (err) => {
       store.get('a', (err, session) => {
         store.all(() => store.prune(() => store.close(() => {
           process.stdout.write(JSON.stringify(session))
         })))
       })
     })`,
  )
  t.is(code, 0, stderr)
  t.is(stdout, '{"cookie":{}}')
})

test('a store that the clock closes in a call keeps nothing of it', async (t) => {
  const store = new MemoryStore({ dispose: () => {} })
  const { now } = Date
  t.teardown(() => (Date.now = now))
  Date.now = () => {
    Date.now = now
    store.close()
    return now()
  }
  await t.throwsAsync(store.set('a', { cookie: {} }), { code: 'ERR_MEMORYSTORE_CLOSED' })
  const figures = []
  store.store.stats(figures)
  t.is(figures[0], 0)
})
