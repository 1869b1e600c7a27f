'use strict'

/**
 * What a touch stores. With the default serializer and no dispose it replaces the cookie inside
 * the stored text, and the outcome has to be, byte for byte, what parse, assign and stringify
 * would have stored: whatever the session and the cookie are, and however often it is touched.
 * What JSON.rawJSON or a Proxy had JSON.stringify write otherwise stays as it stands: there the
 * outcome has to be the same value.
 */

const assert = require('node:assert')
const FakeTimers = require('@sinonjs/fake-timers')
const session = require('express-session')
const fc = require('fast-check')
const test = require('ava')

const { MemoryStore, callbackArguments, storedText } = require('./helpers/stores.js')

// No session expires, however long a test takes on a busy machine.
FakeTimers.install({ toFake: ['Date'], now: 1_700_000_000_000 })

/** What a touch of `text` by `given` has to leave, and whether it has to fail. */
function expectation(text, given) {
  try {
    const stored = JSON.parse(text)
    stored.cookie = given.cookie
    return { text: JSON.stringify(stored), fails: false }
  } catch {
    return { text, fails: true }
  }
}

/** The text as JSON.stringify writes it for the value that it stands for. */
function canonical(text) {
  return JSON.stringify(JSON.parse(text))
}

/**
 * Sets `stored`, touches it by each of `touches`, and compares the text after each. With plain
 * assertions: ava keeps something of each of its own, and here they are very many.
 */
async function checkTouches(stored, touches) {
  let text = textOf(stored)
  if (text === undefined) return
  const store = new MemoryStore()
  await store.set('sid', stored)
  assert.strictEqual(await storedText(store, 'sid'), text)
  // Where JSON.parse and JSON.stringify would write all of it anew, a touch need not.
  const read = text === canonical(text) ? (written) => written : canonical

  for (const given of touches) {
    const expected = expectation(text, given)
    const [error] = await callbackArguments(store, 'touch', 'sid', given)
    const touched = await storedText(store, 'sid')
    assert.strictEqual(read(touched), read(expected.text))
    assert.strictEqual(error !== null, expected.fails)
    text = touched
  }
  assert.deepStrictEqual(await store.get('sid'), JSON.parse(text))
  assert.deepStrictEqual((await store.all()).sid, JSON.parse(text))
}

/** What JSON makes of `value`; undefined where that is nothing, or an error. */
function textOf(value) {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

// ---- awkward things

const codeUnits = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 8 })
  .map((units) => String.fromCharCode(...units))

const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  codeUnits,
  fc.constantFrom(
    'cookie',
    '"cookie":',
    '{"cookie":{}}',
    '\\',
    '"',
    '\\"',
    '\u2028\u2029',
    '\u007f\u0080',
    '\ufffd',
    '\ufeff',
    '\ud800',
    '\udc00\ud800',
    '😀',
    '\0\b\t\n\v\f\r\x1b',
    'é',
  ),
)

const anyKey = fc.oneof(
  anyText,
  fc.nat({ max: 12 }).map(String),
  fc.constantFrom(
    'cookie',
    '__proto__',
    '01',
    '-1',
    '1.5',
    '4294967294',
    '4294967295',
    '999999999',
    '1000000000',
    '1e3',
    'toJSON',
    'length',
  ),
)

const anyNumber = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.double({ min: 1e14, max: 1e22 }),
  fc.double({ min: -1e-4, max: 1e-4 }),
  fc.constantFrom(
    -0,
    0.1 + 0.2,
    1e21,
    1e-6,
    1e-7,
    999999999999999900000,
    2 ** 53,
    2 ** 53 + 2,
    5e-324,
    Number.MAX_VALUE,
    123456789012345680000,
    1e20,
    0.000001234,
    Infinity,
    NaN,
  ),
)

const rawTexts = [
  '1.0',
  '-0',
  '1e3',
  '1E+3',
  '0.10',
  '1e400',
  '1e-400',
  '12345678901234567890',
  '9007199254740993',
  '0.1e1',
  '100000000000000000000000',
  '"\\u0041"',
  '"\\/"',
  '"\\u000a"',
  '"\\u001F"',
  '"\\u00e9"',
  '"\\ud83d\\ude00"',
  '"\\uD800"',
  '"\\ud800"',
  '"\ud800"',
  '"é"',
  'true',
  'null',
  '"plain"',
  '5',
]

const plainLeaf = fc.oneof(
  anyText,
  anyNumber,
  fc.boolean(),
  fc.constantFrom(null, undefined, Symbol('s'), () => {}, new Date(0), /x/, new Map([[1, 2]])),
)

// Node 20 has no JSON.rawJSON.
const anyLeaf = JSON.rawJSON
  ? fc.oneof(plainLeaf, fc.constantFrom(...rawTexts).map(JSON.rawJSON))
  : plainLeaf

const objectOf = (key, value) =>
  fc.array(fc.tuple(key, value), { maxLength: 5 }).map((pairs) => {
    const object = {}
    for (const [name, member] of pairs) {
      const descriptor = { value: member, writable: true, enumerable: true, configurable: true }
      Object.defineProperty(object, name, descriptor)
    }
    return object
  })

const { anyValue } = fc.letrec((tie) => ({
  anyValue: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    anyLeaf,
    fc.array(tie('anyValue'), { maxLength: 4 }),
    objectOf(anyKey, tie('anyValue')),
  ),
}))

const expressCookie = fc
  .record({
    maxAge: fc.integer({ min: 60_000, max: 1e10 }),
    path: fc.constantFrom('/', '/é', '/😀'),
  })
  .map((options) => new session.Cookie(options))

const anyCookie = fc.oneof(
  { weight: 3, arbitrary: expressCookie },
  { weight: 3, arbitrary: fc.record({ originalMaxAge: anyNumber, path: anyText }) },
  { weight: 3, arbitrary: anyValue },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      undefined,
      null,
      'text',
      5,
      [],
      { toJSON: () => undefined },
      { toJSON: (key) => `under ${key}` },
      { toJSON: () => ({ cookie: { cookie: 1 } }) },
      { path: '/\ud800' },
      { path: '/é' },
      { a: 1n },
      {
        toJSON: () => {
          throw new Error('toJSON')
        },
      },
    ),
  },
)

const plainSession = fc
  .tuple(objectOf(anyKey, anyValue), anyCookie, objectOf(anyKey, anyValue))
  .map(([before, cookie, after]) =>
    Object.defineProperties(
      {},
      {
        ...Object.getOwnPropertyDescriptors(before),
        cookie: { value: cookie, writable: true, enumerable: true, configurable: true },
        ...Object.getOwnPropertyDescriptors(after),
      },
    ),
  )

/** Lists its keys in an order that no plain object has. */
const proxySession = fc
  .tuple(plainSession, fc.array(fc.nat(), { minLength: 12, maxLength: 12 }))
  .map(([target, ranks]) => {
    const ranked = Reflect.ownKeys(target).map((key, at) => ({
      key,
      rank: ranks[at % ranks.length],
    }))
    const keys = ranked.sort((one, other) => one.rank - other.rank).map(({ key }) => key)
    return new Proxy(target, { ownKeys: () => keys })
  })

const anySession = fc.oneof(
  { weight: 6, arbitrary: plainSession },
  { weight: 3, arbitrary: proxySession },
  { weight: 1, arbitrary: objectOf(anyKey, anyValue) },
  { weight: 1, arbitrary: anyValue },
)

const anyTouch = fc.oneof(
  { weight: 9, arbitrary: anyCookie.map((cookie) => ({ cookie })) },
  { weight: 1, arbitrary: fc.constantFrom(undefined, null, {}, 5) },
)

test('a touch stores what parse, assign and stringify would, byte for byte', async (t) => {
  const touches = fc.array(anyTouch, { minLength: 1, maxLength: 3 })
  const property = fc.asyncProperty(anySession, touches, (stored, given) =>
    checkTouches(stored, given),
  )
  await fc.assert(property, { numRuns: 3000, includeErrorInReport: true })
  t.pass()
})

test('so it does for every number that JSON can hold', async (t) => {
  const property = fc.asyncProperty(fc.array(anyNumber, { maxLength: 20 }), (numbers) =>
    checkTouches({ cookie: {}, numbers }, [{ cookie: { maxAge: 60_000 } }]),
  )
  await fc.assert(property, { numRuns: 1000, includeErrorInReport: true })
  t.pass()
})

// ---- by example

/** A touch of `stored` by `cookie` leaves `expected`. */
function example(title, stored, cookie, expected) {
  test(title, async (t) => {
    const store = new MemoryStore()
    await store.set('sid', stored)
    await store.touch('sid', { cookie })
    t.is(await storedText(store, 'sid'), expected)
  })
}

const reversed = (target) => new Proxy(target, { ownKeys: () => Reflect.ownKeys(target).reverse() })

example(
  'the cookie keeps its place',
  { a: 1, cookie: {}, b: 2 },
  { x: 1 },
  '{"a":1,"cookie":{"x":1},"b":2}',
)
example(
  'a cookie that is missing is added at the end',
  { a: 1 },
  { x: 1 },
  '{"a":1,"cookie":{"x":1}}',
)
example(
  'a cookie of undefined is taken out',
  { a: 1, cookie: {}, b: 2 },
  undefined,
  '{"a":1,"b":2}',
)
example('a cookie of null is null', { cookie: {} }, null, '{"cookie":null}')
example('a cookie whose toJSON gives nothing is taken out', { cookie: {} }, { toJSON() {} }, '{}')
example(
  'toJSON is told the name of the member',
  { cookie: {} },
  { toJSON: (key) => key },
  '{"cookie":"cookie"}',
)
example(
  'a nested cookie is left alone',
  { a: { cookie: 1 }, cookie: 2, b: [{ cookie: 3 }] },
  4,
  '{"a":{"cookie":1},"cookie":4,"b":[{"cookie":3}]}',
)
example(
  'a text that looks like a cookie is left alone',
  { a: '"cookie":1,', cookie: 2 },
  3,
  '{"a":"\\"cookie\\":1,","cookie":3}',
)
example(
  'a path beyond ASCII is stored',
  { a: 'x', cookie: {} },
  { path: '/é/😀' },
  '{"a":"x","cookie":{"path":"/é/😀"}}',
)
example(
  'a lone surrogate is stored as its escape',
  { a: '\ud800', cookie: {} },
  { path: '\udc00' },
  '{"a":"\\ud800","cookie":{"path":"\\udc00"}}',
)
example(
  'keys in the order of a Proxy stay where they are',
  reversed({ 1: 'b', 0: 'a', cookie: {} }),
  5,
  '{"cookie":5,"1":"b","0":"a"}',
)
if (JSON.rawJSON) {
  example(
    'numbers stay as JSON.rawJSON spelled them',
    { cookie: {}, id: JSON.rawJSON('12345678901234567890') },
    5,
    '{"cookie":5,"id":12345678901234567890}',
  )
}
example('a session that is an array has no cookie to store', [1], { x: 1 }, '[1]')

test('express-session’s own cookies are stored as they say', async (t) => {
  const store = new MemoryStore()
  const first = new session.Cookie({ maxAge: 1_000_000, path: '/é', sameSite: 'lax' })
  const second = new session.Cookie({ maxAge: 2_000_000, httpOnly: false })
  await store.set('sid', { cookie: first, views: 1 })
  await store.touch('sid', { cookie: second })
  t.is(await storedText(store, 'sid'), JSON.stringify({ cookie: second, views: 1 }))
})

test('a session of 10 MB keeps every byte but its cookie', async (t) => {
  const store = new MemoryStore()
  const big = 'é"\\'.repeat(2 ** 21)
  await store.set('sid', { before: big, cookie: { n: 1 }, after: big })
  for (const n of [2, 1e10]) {
    await store.touch('sid', { cookie: { n } })
    const text = await storedText(store, 'sid')
    t.true(text === JSON.stringify({ before: big, cookie: { n }, after: big }))
  }
})

test('a session of another serializer is not touched as JSON', async (t) => {
  const store = new MemoryStore({
    serializer: { stringify: () => '{"cookie":1.0}', parse: JSON.parse },
  })
  await store.set('sid', {})
  store.serializer = JSON
  await store.touch('sid', { cookie: 2 })
  t.is(await storedText(store, 'sid'), '{"cookie":2}')
  await store.touch('sid', { cookie: 3 })
  t.is(await storedText(store, 'sid'), '{"cookie":3}')
})

for (const close of [Object.freeze, Object.seal, Object.preventExtensions]) {
  test(`a session that parse gives after Object.${close.name} is touched`, async (t) => {
    const serializer = {
      stringify: JSON.stringify,
      parse: (text) => close(Object.assign(Object.create({ isMade: true }), JSON.parse(text))),
    }
    const store = new MemoryStore({ serializer })
    for (const stored of [{ user: 'ada', cookie: { path: '/' } }, { user: 'ada' }]) {
      await store.set('sid', stored)
      await store.touch('sid', { cookie: { path: '/new' } })
      const { user, cookie, isMade } = await store.get('sid')
      t.deepEqual({ user, cookie, isMade }, { user: 'ada', cookie: { path: '/new' }, isMade: true })
    }
  })
}

test('a text that JSON would write otherwise is written as JSON does', async (t) => {
  const spaced = { stringify: (value) => JSON.stringify(value, null, 2), parse: JSON.parse }
  const store = new MemoryStore({ serializer: spaced })
  await store.set('sid', { cookie: 1, a: 2 })
  store.serializer = JSON
  await store.touch('sid', { cookie: 3 })
  t.is(await storedText(store, 'sid'), '{"cookie":3,"a":2}')
})

test('dispose sees the text that the touches before it stored', async (t) => {
  const disposed = []
  const store = new MemoryStore({ dispose: (_sid, text) => disposed.push(text) })
  await store.set('sid', { a: 1, cookie: 1 })
  await store.touch('sid', { cookie: 2 })
  await store.touch('sid', { cookie: 3 })
  await store.destroy('sid')
  t.deepEqual(disposed, ['{"a":1,"cookie":1}', '{"a":1,"cookie":2}', '{"a":1,"cookie":3}'])
})

// ---- without parsing

/** How often `run` had the session parsed. */
async function countParses(run) {
  const { parse } = JSON
  let count = 0
  JSON.parse = (...args) => {
    count++
    return parse(...args)
  }
  try {
    await run()
  } finally {
    JSON.parse = parse
  }
  return count
}

const usual = {
  cookie: { originalMaxAge: 60_000, path: '/' },
  user: { id: 7, name: 'Zoë' },
  at: 1.5e12,
  list: [0.1, null],
}

test.serial('a usual session is touched without being parsed', async (t) => {
  const store = new MemoryStore()
  await store.set('sid', usual)
  const touch = () => store.touch('sid', { cookie: new session.Cookie({ maxAge: 60_000 }) })
  t.is(await countParses(touch), 0)
  t.is(await countParses(touch), 0)
})

test.serial('so it is with a dispose that is not called for what a touch overwrites', async (t) => {
  const disposed = []
  const dispose = (sid) => disposed.push(sid)
  const store = new MemoryStore({ dispose, noDisposeOnSet: true })
  await store.set('sid', usual)
  t.is(await countParses(() => store.touch('sid', usual)), 0)
  t.deepEqual(disposed, [])
  await store.destroy('sid')
  t.deepEqual(disposed, ['sid'])
})

test.serial('with a dispose it is parsed, because the old text is disposed of', async (t) => {
  const store = new MemoryStore({ dispose() {} })
  await store.set('sid', usual)
  t.is(await countParses(() => store.touch('sid', usual)), 1)
})
