'use strict'

// That the cookie's text, which touch writes by hand, is what JSON.stringify gives, whatever the
// cookie is; or undefined where JSON.stringify throws.

const test = require('ava')
const fc = require('fast-check')
const { Cookie } = require('express-session')

const createMemoryStore = require('..')
const { cookieText } = require('./helpers/cookie')
const { succeed } = require('./helpers/process')

/** Names that cookies have, that objects have otherwise, and that JSON has to escape. */
const NAMES = [
  'originalMaxAge',
  'maxAge',
  'expires',
  '_expires',
  'httpOnly',
  'path',
  'domain',
  'secure',
  'sameSite',
  'partitioned',
  'priority',
  'signed',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  'valueOf',
  'length',
  '',
  '0',
  '10',
  '-1',
  'a"b',
  'a\\b',
  'a\nb',
  'ü💥',
  '\ud800',
  '\u2028',
  '\x7f',
]

const NUMBERS = [0, -0, 1, -1.5, NaN, Infinity, -Infinity, 1e21, 1e-7, 2 ** 53, 5e-324, 86400000]

function expected(cookie) {
  try {
    return JSON.stringify({ cookie })
  } catch {
    return undefined
  }
}

const assertSame = (t, cookie) => t.is(cookieText({ cookie }), expected(cookie))

/** An object with these own members, `__proto__` like any other. */
function objectOf(entries, prototype = Object.prototype) {
  const object = Object.create(prototype)
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return object
}

/** Values that a member of a cookie may have, and many that it should not. */
const value = fc.oneof(
  fc.anything({ withDate: true, withBigInt: true, withBoxedValues: true, withNullPrototype: true }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(...NUMBERS),
  fc.date({ noInvalidDate: false }),
  fc.anything().map((json) => ({ toJSON: () => json })),
  fc.constantFrom(undefined, null, Symbol('s'), 1n, () => {}, /x/, [undefined]),
)

const name = fc.oneof(fc.constantFrom(...NAMES), fc.string({ unit: 'binary' }))
const entries = fc.array(fc.tuple(name, value), { maxLength: 8 })

/** Members that are as flat as a cookie's, so that most are written by hand. */
const flatValue = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(...NUMBERS, true, false, null, undefined),
  fc.double(),
  fc.date({ noInvalidDate: false }),
)
const flatEntries = fc.array(fc.tuple(name, flatValue), { maxLength: 8 })

function assertProperty(t, arbitrary, build = (made) => made) {
  const property = fc.property(arbitrary, (made) => {
    const cookie = build(made)
    const [text, json] = [cookieText({ cookie }), expected(cookie)]
    if (text !== json) throw new Error(`${text} instead of ${json}`)
  })
  t.notThrows(() => fc.assert(property, { numRuns: 2000 }))
}

test('a flat cookie is written as JSON.stringify writes it', (t) => {
  assertProperty(t, flatEntries, objectOf)
})

test('a cookie of anything is written as JSON.stringify writes it', (t) => {
  assertProperty(t, value)
  assertProperty(t, entries, objectOf)
})

test('what a cookie inherits is not written', (t) => {
  assertProperty(t, fc.tuple(flatEntries, flatEntries), ([own, inherited]) =>
    objectOf(own, objectOf(inherited)),
  )
  assertSame(t, objectOf([['path', '/']], null))
  class Own {
    path = '/'
    get secure() {
      return true
    }
  }
  assertSame(t, new Own())
})

test('toJSON of a cookie and of its members is called with their name', (t) => {
  const names = []
  const toJSON = (name) => {
    names.push(name)
    return { path: '/' }
  }
  assertSame(t, { toJSON })
  t.deepEqual([...new Set(names)], ['cookie'])
  assertProperty(t, flatEntries, (made) => ({ toJSON: () => objectOf(made) }))
  assertProperty(t, value, (made) => ({ toJSON: () => made }))

  const echo = { toJSON: (name) => `<${name}>` }
  assertSame(t, { path: echo, 'a"b': echo })
  for (const wrong of [1, null, 'toJSON', {}]) assertSame(t, { path: '/', toJSON: wrong })
})

test('numbers are written as JSON has them', (t) => {
  for (const number of NUMBERS) {
    assertSame(t, { maxAge: number })
    assertSame(t, number)
  }
  t.is(cookieText({ cookie: { a: -0, b: NaN, c: 1e21 } }), '{"cookie":{"a":0,"b":null,"c":1e+21}}')
})

test('dates are written as JSON has them, valid or not', (t) => {
  class OwnDate extends Date {
    toJSON() {
      return 'own'
    }
  }
  class OtherDate extends Date {
    toISOString() {
      return 'other "one"'
    }
  }
  const dates = [
    new Date(0),
    new Date(NaN),
    new Date(8.64e15),
    new Date(-8.64e15),
    new OwnDate(0),
    new OwnDate(NaN),
    new OtherDate(0),
    new OtherDate(NaN),
    Object.create(Date.prototype),
    Object.assign(new Date(0), { toJSON: null }),
    Object.assign(new Date(0), { toISOString: () => ({ a: 1 }) }),
  ]
  for (const [index, expires] of dates.entries()) {
    t.is(cookieText({ cookie: { expires } }), expected({ expires }), `date ${index}`)
    assertSame(t, expires)
  }
})

test('a date with methods of its own is written as JSON has it', (t) => {
  for (const own of ['valueOf', 'getTime', 'toString']) {
    assertSame(t, { expires: Object.assign(new Date(0), { [own]: () => NaN }) })
    assertSame(t, { expires: Object.assign(new Date(NaN), { [own]: () => 0 }) })
  }
})

test('every name is written as JSON has it', (t) => {
  for (const name of NAMES) {
    assertSame(t, objectOf([[name, 1]]))
    assertSame(t, objectOf([[name, undefined]]))
    assertSame(t, JSON.parse(`{${JSON.stringify(name)}: "x", "path": "/"}`))
  }
})

test('only what is enumerable and has a string for its name is written', (t) => {
  const cookie = { path: '/', [Symbol('s')]: 1 }
  Object.defineProperty(cookie, 'hidden', { value: 1, enumerable: false })
  Object.defineProperty(cookie, 'shown', { get: () => 2, enumerable: true })
  assertSame(t, cookie)
  assertSame(t, Object.freeze({ path: '/' }))
  assertSame(t, new Proxy(cookie, {}))
})

test('what only looks like an object is written as what it is', (t) => {
  const disguised = [[1, 2], new Number(1), new String('ab'), new Boolean(true)]
  for (const each of disguised) {
    assertSame(t, each)
    assertSame(t, { path: each })
    assertSame(t, Object.setPrototypeOf(each, Object.prototype))
    assertSame(t, { path: each })
  }
})

test('what JSON.stringify throws on is undefined', (t) => {
  const circular = {}
  circular.self = circular
  const throwing = () => {
    throw new Error('mine')
  }
  const wrong = [
    { n: 1n },
    1n,
    circular,
    { toJSON: throwing },
    { path: { toJSON: throwing } },
    Object.defineProperty({}, 'path', { get: throwing, enumerable: true }),
    new Proxy({}, { ownKeys: throwing }),
    { expires: Object.create(Date.prototype) },
  ]
  for (const cookie of wrong) {
    t.is(cookieText({ cookie }), undefined)
    t.throws(() => JSON.stringify({ cookie }))
  }
  t.is(cookieText(undefined), undefined)
  t.is(cookieText(null), undefined)
  t.is(
    cookieText({
      get cookie() {
        return throwing()
      },
    }),
    undefined,
  )
})

test('a session without a cookie gives an object without one', (t) => {
  for (const session of [{}, 5, 'text', { cookie: undefined }, { cookie: () => {} }]) {
    t.is(cookieText(session), '{}')
  }
  t.is(cookieText({ cookie: null }), '{"cookie":null}')
})

test("express-session's cookies are written as JSON.stringify writes them", (t) => {
  const options = {
    path: ['/', '/a"b', ''],
    domain: [undefined, 'example.org', 'ü.example'],
    maxAge: [undefined, null, 0, 1000.5, -1, 86400000],
    expires: [undefined, null, new Date(0), new Date(8e12)],
    httpOnly: [true, false, undefined],
    secure: [true, false, undefined, 'auto'],
    sameSite: [undefined, true, false, 'lax', 'none', 'strict'],
    priority: [undefined, 'low', 'medium', 'high'],
    partitioned: [undefined, true, false],
    signed: [undefined, true],
    overwrite: [undefined, true],
  }
  const record = Object.fromEntries(
    Object.entries(options).map(([name, values]) => [name, fc.constantFrom(...values)]),
  )
  const arbitrary = fc.record(record, { requiredKeys: [] })
  const property = fc.property(arbitrary, (chosen) => {
    const cookie = new Cookie(chosen)
    return cookieText({ cookie }) === expected(cookie) && cookieText({ cookie }) !== undefined
  })
  t.notThrows(() => fc.assert(property, { numRuns: 1000 }))
})

/** A store with one session, and what it holds. */
function openStore() {
  const store = new (createMemoryStore())({ ttl: 0 })
  store.set('sid', { a: 1, cookie: {}, b: 2 })
  const held = () => store.store.peek('sid', Date.now())
  return { store, held }
}

test('a session has the cookie it was touched with last, whatever cookies came before', (t) => {
  const cookie = fc.oneof(
    flatEntries.map((made) => objectOf(made)),
    fc.constantFrom(
      ...[null, 'text', { expires: 'x'.repeat(24) }, { expires: new Date(NaN) }],
      ...[{ path: '/', expires: null }, { expires: new Date(8e15) }, { expires: '' }],
    ),
    fc
      .record({
        originalMaxAge: fc.constantFrom(5, 6, null),
        expires: fc.oneof(
          fc.date({ noInvalidDate: true }),
          fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
          fc.constant(null),
        ),
        path: fc.constantFrom('/', '/é'),
      })
      .map((chosen) => Object.assign(new Cookie(), { ...chosen })),
  )
  const sequence = fc.array(fc.tuple(cookie, fc.integer({ min: 1, max: 4 })), { maxLength: 20 })
  const property = fc.property(sequence, (cookies) => {
    const { store, held } = openStore()
    for (const [cookie, times] of cookies) {
      for (let i = 0; i < times; i++) {
        const expected = JSON.stringify(Object.assign(JSON.parse(held()), { cookie }))
        store.touch('sid', { cookie })
        if (held() !== expected) throw new Error(`${held()} instead of ${expected}`)
      }
    }
  })
  t.notThrows(() => fc.assert(property, { numRuns: 500 }))
})

test('a cookie whose members change from touch to touch is stored as it is', (t) => {
  const { store, held } = openStore()
  const since = new Date(0)
  const cookie = {
    path: '/',
    since,
    expires: new Date(0),
    maxAge: { toJSON: () => since.getTime() },
  }
  for (let i = 0; i < 5; i++) {
    since.setTime(i * 1000)
    store.touch('sid', { cookie })
    t.deepEqual(JSON.parse(held()).cookie, JSON.parse(JSON.stringify(cookie)))
  }
})

test('a store that was cleared takes the cookies it knew', (t) => {
  const { store, held } = openStore()
  const cookie = { path: '/', expires: new Date(0) }
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 4; i++) {
      cookie.expires = new Date(round * 1000 + i)
      store.touch('sid', { cookie })
      t.is(held(), `{"a":1,"cookie":${JSON.stringify(cookie)},"b":2}`)
    }
    store.clear()
    store.set('sid', { a: 1, cookie: {}, b: 2 })
  }
})

/** Changes to the built-in prototypes, as a flaw elsewhere or an old library makes them. */
const POLLUTIONS = [
  `Object.prototype.polluted = 'yes'`,
  `Object.prototype.path = 'inherited'`,
  `Object.defineProperty(Object.prototype, 'hidden', { value: 1, configurable: true })`,
  `Object.defineProperty(Object.prototype, 'toJSON', { value: () => 'taken', configurable: true })`,
  `Object.prototype.toJSON = function () { return { by: 'prototype' } }`,
  `Date.prototype.toJSON = () => 'date'`,
  `Date.prototype.toISOString = () => 'iso "date"'`,
  `String.prototype.toJSON = Number.prototype.toJSON = () => 'primitive'`,
  `Array.prototype.toJSON = () => 'array'`,
  `BigInt.prototype.toJSON = () => 'bigint'`,
]

for (const pollution of POLLUTIONS) {
  test(`the text is the same after ${pollution}`, async (t) => {
    const [texts, expected] = await succeed(
      t,
      `const { cookieText } = require('./__test__/helpers/cookie')
       const { Cookie } = require('express-session')
       const cookies = [
         {},
         { path: '/', maxAge: 5, secure: true, expires: new Date(0), none: undefined, no: null },
         { path: { deep: [1] } },
         { n: 1n },
         [],
         'text',
         new Cookie({ expires: new Date(0) }),
       ]
       ${pollution}
       const stringify = (cookie) => {
         try {
           return JSON.stringify({ cookie })
         } catch {
           return undefined
         }
       }
       const texts = cookies.map((cookie) => String(cookieText({ cookie })))
       const expected = cookies.map((cookie) => String(stringify(cookie)))
       delete Array.prototype.toJSON
       delete String.prototype.toJSON
       delete Object.prototype.toJSON
       console.log(JSON.stringify([texts, expected]))`,
    )
    t.deepEqual(texts, expected)
  })
}
