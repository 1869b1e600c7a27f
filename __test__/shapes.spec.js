'use strict'

// Sessions that the native store keeps as a shape and values, and that a builder makes of these.

const test = require('ava')
const fc = require('fast-check')
const session = require('express-session')

const createMemoryStore = require('..')
const { isPacked } = require('../lib/native/builders.js')
const { runScript } = require('./helpers/process')

const MemoryStore = createMemoryStore(session)

/** A session of a shape has to be read more often than this before a builder is made. */
const READS = 100

const cookie = () => ({
  originalMaxAge: 3600_000,
  expires: '2099-01-01T00:00:00.000Z',
  httpOnly: true,
  path: '/',
})

const padding = 'what makes a session long enough to have a shape'

function open(t, options) {
  const store = new MemoryStore(options)
  t.teardown(() => store.close())
  return store
}

/** Whether the store gives out `sid` as builders take it. */
function isBuilt(store, sid) {
  return isPacked(store.store.get(sid, Date.now(), 1))
}

/** Stores the members as several sessions, and reads one until a builder makes it. */
async function build(store, members) {
  const sids = ['one', 'two', 'three', 'four']
  for (const sid of sids) await store.set(sid, { cookie: cookie(), padding, ...members })
  for (let n = 0; n <= READS; n++) await store.get('four')
  return store.get('four')
}

async function load(store, sid) {
  return store.createSession({ sessionID: sid, sessionStore: store }, await store.get(sid))
}

/** Objects with their names in order, and whether they are ordinary ones. */
function seen(value) {
  if (value === null || typeof value !== 'object') return Object.is(value, -0) ? '-0' : value
  const ordinary = Array.isArray(value) ? Array.prototype : Object.prototype
  const members = Reflect.ownKeys(value).map((name) => {
    const { writable, enumerable, configurable } = Object.getOwnPropertyDescriptor(value, name)
    const isIndexed = Array.isArray(value) && name === 'length'
    return [name, seen(value[name]), isIndexed || (writable && enumerable && configurable)]
  })
  return [Object.getPrototypeOf(value) === ordinary, members]
}

const STRINGS = [
  ...['', 'é', '日本', '\u{1f600}', '\ud800', '\n', '"', '\\', '\u2028', '\x7f', '\0', '1', 'true'],
  ...['2026-11-26T12:00:00.000Z', '1969-12-31T23:59:59.999Z', '2026-13-26T12:00:00.000Z'],
  ...['507f1f77bcf86cd799439011', '507F1F77BCF86CD799439011', 'f'.repeat(64), 'f'.repeat(66)],
  ...['0b7c3b0e-5d0a-4c52-9d6e-1f2a3b4c5d6e', 'x'.repeat(255), 'é'.repeat(256)],
]

const NUMBERS = [0, -0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 48 - 1, 2 ** 48, -1, 0.1, 1e21, 1e-7, 5e-324]

const NAMES = ['__proto__', 'constructor', 'toString', '', '0', '10', '2', 'é', '日本', 'cookie']

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, ...STRINGS, ...NUMBERS),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.string(),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('object'),
  ),
  object: fc
    .array(fc.tuple(fc.oneof(fc.constantFrom(...NAMES), fc.string()), tie('value')), {
      maxLength: 5,
    })
    .map((entries) => objectOf(entries)),
}))

/** An object as JSON.parse makes it: `__proto__` is a name like any other. */
function objectOf(entries) {
  const members = entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  return JSON.parse(`{${members}}`)
}

test('what a builder makes is what JSON.parse makes, whatever the session', async (t) => {
  const store = open(t)
  let built = 0
  const isRight = async (members) => {
    await store.clear()
    const expected = JSON.parse(JSON.stringify({ cookie: cookie(), padding, within: members }))
    t.deepEqual(seen(await build(store, { within: members })), seen(expected))
    built += isBuilt(store, 'four')
    return true
  }
  await t.notThrowsAsync(fc.assert(fc.asyncProperty(json.object, isRight), { numRuns: 500 }))
  // Those with escapes and such are read by JSON.parse.
  t.true(built > 100, `${built} were built`)
})

test('each kind of value comes back as it was', async (t) => {
  const store = open(t)
  for (const value of [
    ...STRINGS,
    ...NUMBERS,
    null,
    true,
    false,
    [],
    {},
    [1, ['x', { y: null }]],
  ]) {
    await store.clear()
    const expected = JSON.parse(JSON.stringify({ cookie: cookie(), padding, value, last: 'é' }))
    t.deepEqual(seen(await build(store, { value, last: 'é' })), seen(expected))
  }
})

test('one shape serves all its sessions', async (t) => {
  const store = open(t)
  const make = (n) => ({
    cookie: { ...cookie(), expires: new Date(Date.UTC(2099, 0, 1, 0, 0, n)).toISOString() },
    padding: `${padding} ${'x'.repeat(n % 70)}`,
    n,
    big: n * 2 ** 32 + n,
    price: n / 7 + 0.001,
    isEven: n % 2 === 0,
    list: [{ at: new Date(Date.UTC(2026, 0, 1) + n).toISOString() }, null],
  })
  for (let n = 1; n < 300; n++) await store.set(`${n}`, make(n))
  for (let round = 0; round < 3; round++) {
    for (let n = 1; n < 300; n++) t.deepEqual(await store.get(`${n}`), make(n))
  }
  t.true(isBuilt(store, '200'))
})

test('names cannot put code into a builder', async (t) => {
  const store = open(t)
  const names = [
    '"};globalThis.broken=1;({"',
    '${globalThis.broken=1}',
    '`+(globalThis.broken=1)+`',
    "'];globalThis.broken=1;['",
    '\u2028globalThis.broken=1\u2029',
    '\\',
    '\\"',
    '*/globalThis.broken=1/*',
    '//',
    '</script>',
    '\n',
    '[globalThis.broken=1]',
    'get x(){globalThis.broken=1}',
    '...globalThis.broken=1',
    '__proto__',
  ]
  for (const name of names) {
    await store.clear()
    const members = objectOf([
      [name, 1],
      ['within', objectOf([[name, 'x']])],
    ])
    const expected = JSON.parse(JSON.stringify({ cookie: cookie(), padding, ...members }))
    t.deepEqual(seen(await build(store, members)), seen(expected), name)
    t.true(isBuilt(store, 'four'), name)
  }
  t.is(globalThis.broken, undefined)
  t.is({}.x, undefined)
})

test('a change of a session that was built shows in no other', async (t) => {
  const store = open(t)
  const one = await build(store, { cart: { items: [{ n: 1 }] } })
  one.cart.items[0].n = 2
  one.cart.items.push(3)
  one.cookie.path = '/other'
  one.cart.other = true
  const two = await store.get('four')
  t.deepEqual(two.cart, { items: [{ n: 1 }] })
  t.deepEqual(two.cookie, cookie())
})

test('the cookie of a session that is built is the one it was touched with', async (t) => {
  const store = open(t)
  const built = await build(store, { n: 1 })
  for (const change of [
    { expires: '2099-02-02T00:00:00.000Z' },
    { path: '/other' },
    { expires: null },
    { secure: 'auto', domain: 'example.org' },
  ]) {
    built.cookie = { ...built.cookie, ...change }
    await store.touch('four', built)
    t.deepEqual(await store.get('four'), { cookie: { ...built.cookie }, padding, n: 1 })
  }
})

test('requests that read a session as it was built keep each other’s changes', async (t) => {
  const store = open(t)
  await build(store, { n: 1, cart: { a: 1 } })
  t.true(isBuilt(store, 'four'))
  const [one, other, late] = [
    await load(store, 'four'),
    await load(store, 'four'),
    await load(store, 'four'),
  ]
  one.n = 2
  other.cart.b = 2
  await store.set('four', one)
  await store.set('four', other)
  late.cookie.path = '/late'
  await store.touch('four', late)
  const { cookie: merged, ...rest } = await store.get('four')
  t.deepEqual(rest, { padding, n: 2, cart: { a: 1, b: 2 } })
  t.is(merged.path, '/late')
  t.is(store.stats().merges, 1)
})

test('a function `conflict` gets what was read, though it was built', async (t) => {
  const given = []
  const conflict = (...three) => given.push(three.map(({ n }) => n)) && three[2]
  const store = open(t, { conflict })
  await build(store, { n: 1 })
  const [one, other] = [await load(store, 'four'), await load(store, 'four')]
  one.n = 2
  other.n = 3
  await store.set('four', one)
  await store.set('four', other)
  t.deepEqual(given, [[1, 2, 3]])
})

test('a session that was destroyed after it was built stays destroyed', async (t) => {
  const store = open(t)
  await build(store, { n: 1 })
  const loaded = await load(store, 'four')
  await store.destroy('four')
  await store.set('four', loaded)
  t.is(await store.get('four'), undefined)
  t.is(store.stats().refusedWrites, 1)
})

test('dispose, all and entries get the texts that were stored', async (t) => {
  const disposed = []
  const store = open(t, { dispose: (sid, text) => disposed.push(text) })
  await build(store, { when: '2026-11-26T12:00:00.000Z', é: 'é' })
  const expected = { cookie: cookie(), padding, when: '2026-11-26T12:00:00.000Z', é: 'é' }
  t.deepEqual({ ...(await store.all()) }.four, expected)
  for await (const [, one] of store.entries()) t.deepEqual(one, expected)
  disposed.length = 0
  await store.destroy(['one', 'four'])
  t.deepEqual(disposed, [JSON.stringify(expected), JSON.stringify(expected)])
})

test('where a shape is gone, what is stored now is read', async (t) => {
  const store = open(t)
  await build(store, { n: 1 })
  const other = new MemoryStore()
  t.teardown(() => other.close())
  const { shape } = Object.getPrototypeOf(store.store)
  store.store.shape = () => undefined
  t.deepEqual(await build(store, { m: 1 }), { cookie: cookie(), padding, m: 1 })
  store.store.shape = shape
  t.deepEqual(await store.get('four'), { cookie: cookie(), padding, m: 1 })
})

test('what another serializer wrote is never taken for a session to build', async (t) => {
  const serializer = { stringify: () => text, parse: (text) => ({ cookie: {}, text }) }
  const store = open(t)
  await build(store, { n: 1 })
  const text = store.store.get('four', Date.now(), 1)
  t.is(text.charCodeAt(0), 1)
  store.serializer = serializer
  await store.set('five', { cookie: {} })
  t.is((await store.get('five')).text, text)
  store.serializer = JSON
  await t.throwsAsync(store.get('five'), { message: /not valid JSON/ })
})

test('an application that changes its sessions takes no more memory than before', async (t) => {
  const store = open(t)
  const make = (revision, n) => ({
    cookie: cookie(),
    padding,
    [`field${revision}`]: { n, name: 'x' },
  })
  const taken = []
  for (let revision = 0; revision < 2000; revision++) {
    for (let n = 0; n < 20; n++) await store.set(`${n}`, make(revision, n))
    if (revision % 500 === 400) taken.push(store.stats().bytes)
  }
  t.deepEqual(await store.get('7'), make(1999, 7))
  const [first, ...others] = taken
  for (const bytes of others) t.true(bytes < 1.5 * first, `${taken}`)
})

test('thousands of different sessions are kept and read', async (t) => {
  const store = open(t)
  const make = (n) => ({
    cookie: cookie(),
    padding,
    [`field${n}`]: n,
    list: Array(n % 9).fill('x'),
  })
  for (let round = 0; round < 4; round++) {
    for (let n = 0; n < 3000; n++) await store.set(`${n}`, make(n))
  }
  for (let n = 0; n < 3000; n++) t.deepEqual(await store.get(`${n}`), make(n))
})

test('where code must not be generated, sessions are read by JSON.parse', async (t) => {
  const { stdout } = await runScript(
    `
    const MemoryStore = require('.')(require('express-session'))
    const store = new MemoryStore()
    const make = (n) => ({ cookie: { path: '/' }, padding: 'x'.repeat(40), n, list: [n, 'text'] })
    void (async () => {
      for (let n = 0; n < 10; n++) await store.set(String(n), make(n))
      for (let round = 0; round < 50; round++) {
        for (let n = 0; n < 10; n++) {
          const read = JSON.stringify(await store.get(String(n)))
          if (read !== JSON.stringify(make(n))) throw new Error(read)
        }
      }
      console.log('done')
    })()
    `,
    { args: ['--disallow-code-generation-from-strings'] },
  )
  t.is(stdout.trim(), 'done')
})
