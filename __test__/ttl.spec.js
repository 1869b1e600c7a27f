'use strict'

// What the option `ttl` may be and return, and what becomes of a request where it is something else.
// What memorystore does with it is in drop-in.spec.js.

const express = require('express')
const FakeTimers = require('@sinonjs/fake-timers')
const session = require('express-session')
const test = require('ava')

const { MemoryStore, callbackArguments, watchWarnings } = require('./helpers/stores.js')
const { runScript } = require('./helpers/process.js')

const COOKIE = { cookie: {} }

const WRONG_RESULTS = {
  'a string': () => 'soon',
  'a Date': () => new Date(),
  'a promise': async () => 1000,
  'an object': () => ({ ms: 1000 }),
  'an array': () => [1000],
  'a boolean': () => true,
  'a function': () => () => 1000,
  'a symbol': () => Symbol('1000'),
}

for (const [kind, ttl] of Object.entries(WRONG_RESULTS)) {
  test(`a ttl function that returns ${kind} is a TypeError to the callback`, async (t) => {
    const store = new MemoryStore({ ttl })
    for (const method of ['set', 'touch']) {
      const [err] = await callbackArguments(store, method, 'a', COOKIE)
      t.true(err instanceof TypeError)
      t.is(
        err.message,
        `memorystore-rs: the option \`ttl\` returned ${kind}; it has to return a number of milliseconds`,
      )
      t.throws(() => store[method]('a', COOKIE), { instanceOf: TypeError })
    }
    t.is(await store.get('a'), undefined)
  })
}

for (const [kind, ttl] of Object.entries({
  'a string': '3600000',
  'a boolean': true,
  'an object': {},
  'a Date': new Date(),
})) {
  test(`a ttl that is ${kind} is warned of, and a TypeError to the callback`, async (t) => {
    const { value: store, warnings } = watchWarnings(() => new MemoryStore({ ttl }))
    t.deepEqual(
      warnings.map(({ code, message }) => [code, message.includes(`\`ttl\` is ${kind}`)]),
      [['MEMORYSTORE_OPTION', true]],
    )
    for (const method of ['set', 'touch']) {
      const [err] = await callbackArguments(store, method, 'a', COOKIE)
      t.is(
        err.message,
        `memorystore-rs: the option \`ttl\` is ${kind}; it has to be a number or a function that returns one`,
      )
    }
  })
}

test('what a ttl function throws goes to the callback', async (t) => {
  const error = new Error('ttl')
  const store = new MemoryStore({
    ttl: () => {
      throw error
    },
  })
  t.deepEqual(await callbackArguments(store, 'set', 'a', COOKIE), [error])
  t.deepEqual(await callbackArguments(store, 'touch', 'a', COOKIE), [error])
})

for (const [name, ttl] of Object.entries({
  ...WRONG_RESULTS,
  'option text': '3600000',
  'something thrown': () => {
    throw new Error('ttl')
  },
})) {
  test(`a request is answered though its ttl is ${name}`, async (t) => {
    const { value: store } = watchWarnings(() => new MemoryStore({ ttl }))
    const app = express()
    let note
    const noted = new Promise((resolve) => (note = resolve))
    app.use(session({ secret: 's', resave: false, saveUninitialized: false, store }))
    app.get('/', (req, res) => {
      req.session.n = 1
      res.end('answer')
    })
    // Express knows it by its four parameters.
    // eslint-disable-next-line no-unused-vars
    app.use((err, _req, _res, _next) => note(err.message))
    const server = app.listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`)
    t.is(await answer.text(), 'answer')
    t.regex(await noted, /ttl/, 'and the app is told why the session was not stored')
    server.closeAllConnections()
  })
}

test.serial('a ttl function that returns digits acts as their number', async (t) => {
  const clock = FakeTimers.install({ now: 1_700_000_000_000, toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  const { value: store } = watchWarnings(() => new MemoryStore({ ttl: () => '1000' }))
  await store.set('a', COOKIE)
  clock.tick(1000)
  t.not(await store.get('a'), undefined)
  clock.tick(1)
  t.is(await store.get('a'), undefined)
})

test('a process is warned once of ttl functions that return digits', async (t) => {
  const { code, stderr } = await runScript(
    `const MemoryStore = require('.')()
     for (let n = 0; n < 3; n++) {
       const store = new MemoryStore({ ttl: () => '1000' })
       for (let m = 0; m < 3; m++) store.set('a', {}, () => {})
     }`,
  )
  t.is(code, 0)
  t.is(stderr.match(/MEMORYSTORE_OPTION.*`ttl` returned a string/g)?.length, 1, stderr)
})
