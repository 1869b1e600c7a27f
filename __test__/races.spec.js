'use strict'

// Requests of one session that overlap, on real Express apps: the races that bench/races.js runs
// on every store, under all settings of express-session, and what a single request does with
// its own session meanwhile.

const test = require('ava')
const express = require('express')
const express4 = require('express4')
const session = require('express-session')
const MemoryStore = require('..')(session)
const { RACES, startApp } = require('../bench/races.js')

const KEPT = { ten: '10 of 10', hundred: '100 of 100' }

/** What no merge by key can keep: the last writer's value stays. */
const LOST = ['counter']

const SETTINGS = [
  { resave: false, rolling: false },
  { resave: false, rolling: true },
  { resave: true, rolling: false },
  { resave: true, rolling: true },
]

async function start(t, options = {}, settings = {}, framework = express) {
  const store = new MemoryStore(options)
  const app = await startApp(store, settings, framework)
  t.teardown(() => {
    app.stop()
    return store.close()
  })
  return app
}

for (const [race, { title, options, run }] of Object.entries(RACES)) {
  // Those that need options of their own are in the specs of these.
  if (LOST.includes(race) || options !== undefined) continue
  for (const settings of SETTINGS) {
    for (const [version, framework] of [
      ['Express 5', express],
      ['Express 4', express4],
    ]) {
      test(`${title}; ${version}, ${JSON.stringify(settings)}`, async (t) => {
        const app = await start(t, {}, settings, framework)
        t.is(await run(app), KEPT[race] ?? true)
      })
    }
  }
}

test('of a counter that two requests raise at once, the last writer’s value stays', async (t) => {
  const app = await start(t)
  t.false(await RACES.counter.run(app))
})

test('a function that is the conflict option counts both', async (t) => {
  const conflict = (base, theirs, mine) => ({
    ...MemoryStore.merge(base, theirs, mine),
    n: (theirs.n ?? 0) + (mine.n ?? 0) - (base.n ?? 0),
  })
  const app = await start(t, { conflict })
  t.true(await RACES.counter.run(app))
  t.true(await RACES.deletion.run(app), 'and everything else is merged')
})

for (const race of ['logout', 'regenerate', 'clear']) {
  test(`${race}: a logout cannot be undone where writes are not merged either`, async (t) => {
    const app = await start(t, { conflict: 'overwrite' })
    t.true(await RACES[race].run(app))
  })
}

test('where writes are not merged the last one wins', async (t) => {
  const app = await start(t, { conflict: 'overwrite' })
  t.is(await RACES.ten.run(app), '1 of 10')
  t.is(app.store.stats().merges, 0)
})

test('with resave, a slow request that only reads brings nobody back either', async (t) => {
  const app = await start(t, {}, { resave: true })
  const client = app.client()
  await client.post('/login', { user: 'ada' })
  const slow = app.client(client.cookie).post('/slow?gate=read', {})
  await app.gate('read').arrived(1)
  const before = app.client(client.cookie)
  await client.post('/logout')
  app.gate('read').open()
  await slow
  t.deepEqual(await before.session(), {})
  t.is(app.store.stats().refusedWrites, 1)
})

/** An app with one more route, in which a test does with the session as it likes. */
async function startWith(t, route, options) {
  const store = new MemoryStore(options)
  let inner
  const framework = Object.assign(() => (inner = express()), express)
  const app = await startApp(store, {}, framework)
  inner.post('/own', (req, res, next) =>
    Promise.resolve(route(req, app)).then(() => res.json({}), next),
  )
  t.teardown(() => {
    app.stop()
    return store.close()
  })
  const client = app.client()
  await client.post('/login', { user: 'ada' })
  return { app, client }
}

const call = (object, method) =>
  new Promise((resolve, reject) => object[method]((err) => (err ? reject(err) : resolve())))

test('a request that saves twice keeps what others wrote before, between and after', async (t) => {
  const { client } = await startWith(t, async (req, app) => {
    const other = app.client(client.cookie)
    req.session.first = 1
    await other.post('/change', { set: { before: 1, shared: 'theirs' } })
    await call(req.session, 'save')
    await other.post('/change', { set: { between: 1 }, drop: ['before'] })
    req.session.second = 1
    await call(req.session, 'save')
    await other.post('/change', { set: { after: 1 } })
    req.session.third = 1
    delete req.session.first
  })
  await client.post('/own')
  t.deepEqual(await client.session(), {
    user: 'ada',
    shared: 'theirs',
    between: 1,
    second: 1,
    after: 1,
    third: 1,
  })
})

test('a request that reloads goes on from what is stored', async (t) => {
  const { client } = await startWith(t, async (req, app) => {
    await app.client(client.cookie).post('/change', { set: { n: 1, theirs: 1 } })
    await call(req.session, 'reload')
    t.is(req.session.n, 1)
    req.session.n++
    delete req.session.theirs
  })
  await client.post('/own')
  t.deepEqual(await client.session(), { user: 'ada', n: 2 })
})

test('a session that is stored in a variable and saved late does not undo a logout', async (t) => {
  let kept
  const { app, client } = await startWith(t, (req) => {
    kept = req.session
  })
  const before = app.client(client.cookie)
  await client.post('/own')
  await client.post('/logout')
  kept.page = 'late'
  await call(kept, 'save')
  t.deepEqual(await before.session(), {})
})

test('a session that is stored in a variable and saved late is merged', async (t) => {
  let kept
  const { client } = await startWith(t, (req) => {
    kept = req.session
  })
  await client.post('/own')
  await client.post('/change', { set: { theirs: 1 } })
  kept.mine = 1
  await call(kept, 'save')
  t.deepEqual(await client.session(), { user: 'ada', theirs: 1, mine: 1 })
})

test('a session that was new in its request and is saved again does not undo a logout', async (t) => {
  let fresh
  const { app, client } = await startWith(t, async (req) => {
    await call(req.session, 'regenerate')
    req.session.user = 'bob'
    fresh = req.session
  })
  await client.post('/own')
  const before = app.client(client.cookie)
  t.deepEqual(await before.session(), { user: 'bob' })
  await client.post('/logout')
  await call(fresh, 'save')
  t.deepEqual(await before.session(), {})
})

test('a request that logs out and saves what it had is logged out', async (t) => {
  const { client } = await startWith(t, async (req) => {
    const { session } = req
    await call(session, 'destroy')
    session.user = 'again'
    await call(session, 'save')
  })
  await client.post('/own')
  t.deepEqual(await client.session(), {})
})
