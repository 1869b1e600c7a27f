'use strict'

// The merge of what two requests made of one session: by its laws, and case by case.

const test = require('ava')
const fc = require('fast-check')
const { isDeepStrictEqual } = require('node:util')

const createMemoryStore = require('..')
const { merge } = require('../lib/merge.js')

const KEYS = ['a', 'b', 'c', 'd', '0', '10', '__proto__', 'constructor', 'toString', 'length', '']

const value = fc.oneof(
  fc.constantFrom(null, 0, 1, true, 'x', '', [], {}, [1], { n: 1 }, { n: { m: [1] } }),
  fc.jsonValue(),
)

/** A session as JSON.parse gives it, so that `__proto__` is a key like any other. */
const session = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...KEYS), value), { selector: ([key]) => key })
  .map(objectOf)

function objectOf(entries) {
  return JSON.parse(
    `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)}}`,
  )
}

/** The session with the entries of `keys` taken from `other`. */
function withKeysOf(session, other, keys) {
  const kept = Object.entries(session).filter(([key]) => !keys.includes(key))
  const taken = Object.entries(other).filter(([key]) => keys.includes(key))
  return objectOf([...kept, ...taken])
}

function holds(t, arbitraries, law) {
  t.notThrows(() => fc.assert(fc.property(...arbitraries, law), { numRuns: 2000 }))
}

test('merging with a side that changed nothing gives the other side', (t) => {
  holds(t, [session, session], (base, changed) => {
    const cookieless = (merged) => isDeepStrictEqual(merged, changed)
    return cookieless(merge(base, base, changed)) && cookieless(merge(base, changed, base))
  })
})

test('two changes to different keys commute', (t) => {
  const keys = fc.uniqueArray(fc.constantFrom(...KEYS))
  holds(t, [session, session, session, keys], (base, one, other, mine) => {
    const theirs = KEYS.filter((key) => !mine.includes(key))
    const a = withKeysOf(base, one, mine)
    const b = withKeysOf(base, other, theirs)
    const both = withKeysOf(a, other, theirs)
    return (
      isDeepStrictEqual(merge(base, a, b), merge(base, b, a)) &&
      isDeepStrictEqual(merge(base, a, b), both)
    )
  })
})

/** Whether nothing is left of a value: so apps remove a key that they do not delete. */
const isNothing = (value) => value === undefined || value === null || isDeepStrictEqual(value, {})

const isObject = (value) => isDeepStrictEqual(Object.getPrototypeOf(value ?? 1), Object.prototype)

test('a value that both changed is mine, unless both are objects or one removed an object', (t) => {
  holds(t, [session, session, session], (base, theirs, mine) => {
    const merged = merge(base, theirs, mine)
    return KEYS.every((key) => {
      const of = (object) => (Object.hasOwn(object, key) ? [object[key]] : [])
      const [was, their, my] = [base, theirs, mine].map(of)
      if (isDeepStrictEqual(was, my)) return isDeepStrictEqual(of(merged), their)
      if (isDeepStrictEqual(was, their)) return isDeepStrictEqual(of(merged), my)
      if (isObject(was[0]) && isObject(my[0]) && isNothing(their[0])) {
        return isDeepStrictEqual(of(merged), their)
      }
      if (isObject(was[0]) && isObject(their[0]) && isNothing(my[0])) {
        return isDeepStrictEqual(of(merged), my)
      }
      const areObjects = isObject(their[0]) && isObject(my[0])
      if (!areObjects || !(isObject(was[0]) || isNothing(was[0]))) {
        return isDeepStrictEqual(of(merged), my)
      }
      const inner = merge(was[0] ?? {}, their[0], my[0])
      delete inner.cookie
      delete of(merged)[0].cookie
      return isDeepStrictEqual(of(merged), [inner])
    })
  })
})

for (const [name, base, theirs, mine, merged] of [
  [
    'two keys of one object',
    { cart: { apples: 1 } },
    { cart: { apples: 1, pears: 1 } },
    { cart: { apples: 2 } },
    { cart: { apples: 2, pears: 1 } },
  ],
  [
    'keys at every depth',
    { a: { b: { c: { x: 1, y: 1 } } } },
    { a: { b: { c: { x: 2, y: 1 }, d: 1 } } },
    { a: { b: { c: { x: 1 } }, e: 1 } },
    { a: { b: { c: { x: 2 }, d: 1 }, e: 1 } },
  ],
  [
    'an object that both made',
    {},
    { cart: { pears: 1 } },
    { cart: { apples: 1 } },
    { cart: { apples: 1, pears: 1 } },
  ],
  [
    'an object that both made in place of null',
    { a: null },
    { a: { x: 1 } },
    { a: { y: 1 } },
    { a: { x: 1, y: 1 } },
  ],
  [
    'objects in place of something else',
    { a: 5 },
    { a: { x: 1 } },
    { a: { y: 1 } },
    { a: { y: 1 } },
  ],
  ['a leaf that both changed', { a: { n: 1 } }, { a: { n: 2 } }, { a: { n: 3 } }, { a: { n: 3 } }],
  ['arrays, which are one value', { a: [1] }, { a: [1, 2] }, { a: [1, 3] }, { a: [1, 3] }],
  [
    'arrays of which one changed',
    { a: [1], b: 1 },
    { a: [1, 2], b: 1 },
    { a: [1], b: 2 },
    { a: [1, 2], b: 2 },
  ],
]) {
  test(`the merge is by key at every depth: ${name}`, (t) => {
    t.deepEqual(merge(base, theirs, mine), merged)
  })
}

for (const [name, removed] of Object.entries({
  deleted: {},
  'set to undefined': { user: undefined },
  'set to null': { user: null },
  'set to an empty object': { user: {} },
})) {
  test(`an object that one ${name} stays so where the other changed what is inside`, (t) => {
    const base = { user: { id: 1, lastSeen: 1 }, n: 1 }
    for (const changed of [
      { user: { id: 1, lastSeen: 2 } },
      { user: { id: 1, lastSeen: 1, page: { n: 1 } } },
      { user: { id: 1 } },
    ]) {
      t.deepEqual(merge(base, { ...removed, n: 1 }, { ...changed, n: 2 }), { ...removed, n: 2 })
      t.deepEqual(merge(base, { ...changed, n: 2 }, { ...removed, n: 1 }), { ...removed, n: 2 })
    }
    const nested = (session) => ({ passport: { ...session, id: 1 } })
    t.deepEqual(
      merge(nested(base), nested(removed), nested({ user: { id: 1, lastSeen: 2 } })),
      nested(removed),
    )
  })
}

test('a text that one removed and the other replaced is as the later one has it', (t) => {
  t.deepEqual(merge({ user: 'ann' }, {}, { user: 'bob' }), { user: 'bob' })
  t.deepEqual(merge({ user: 'ann' }, { user: 'bob' }, {}), {})
})

const HOUR = 3600_000
const at = (time) => new Date(1_800_000_000_000 + time).toISOString()
const cookie = (originalMaxAge, expires, more) => ({
  originalMaxAge,
  expires: typeof expires === 'number' ? at(expires) : expires,
  path: '/',
  ...more,
})

for (const [name, base, theirs, mine, merged] of [
  [
    'the time of who renewed it last, be it mine',
    cookie(HOUR, 0),
    cookie(HOUR, 5),
    cookie(HOUR, 7),
    cookie(HOUR, 7),
  ],
  [
    'the time of who renewed it last, be it theirs',
    cookie(HOUR, 0),
    cookie(HOUR, 7),
    cookie(HOUR, 5),
    cookie(HOUR, 7),
  ],
  [
    'the lifetime that theirs set, though mine is later',
    cookie(HOUR, 0),
    cookie(10, 3),
    cookie(HOUR, 9),
    cookie(10, 3),
  ],
  [
    'the lifetime that mine set, though theirs is later',
    cookie(HOUR, 0),
    cookie(HOUR, 9),
    cookie(10, 3),
    cookie(10, 3),
  ],
  [
    'the lifetime that mine set where theirs set one too',
    cookie(HOUR, 0),
    cookie(9 * HOUR, 9),
    cookie(10, 3),
    cookie(10, 3),
  ],
  [
    'the lifetime that theirs set, though the clock went on while mine was renewed',
    cookie(HOUR, 0),
    cookie(30 * HOUR, 3),
    cookie(HOUR - 2, 9),
    cookie(30 * HOUR, 3),
  ],
  [
    'the later time, though the clock went on while either was renewed',
    cookie(HOUR, 0),
    cookie(HOUR - 1, 7),
    cookie(HOUR, 9),
    cookie(HOUR, 9),
  ],
  [
    'the lifetime that mine made a second shorter',
    cookie(HOUR, 0),
    cookie(HOUR, 9),
    cookie(HOUR - 1000, 3),
    cookie(HOUR - 1000, 3),
  ],
  [
    'a lifetime of next to nothing that was none',
    cookie(5, 0),
    cookie(null, 9),
    cookie(5, 3),
    cookie(null, 9),
  ],
  [
    'a time that theirs took away',
    cookie(HOUR, 0),
    cookie(null, null),
    cookie(HOUR, 9),
    cookie(null, null),
  ],
  [
    'other members by member',
    cookie(HOUR, 0, { secure: true, sameSite: 'lax' }),
    cookie(HOUR, 1, { path: '/theirs', sameSite: 'lax' }),
    cookie(HOUR, 2, { secure: true, sameSite: 'strict' }),
    cookie(HOUR, 2, { path: '/theirs', sameSite: 'strict' }),
  ],
  [
    'a shorter time of mine where theirs changed nothing of it',
    cookie(HOUR, 9),
    cookie(HOUR, 9, { secure: true }),
    cookie(HOUR, 3),
    cookie(HOUR, 3, { secure: true }),
  ],
]) {
  test(`a merged cookie has ${name}`, (t) => {
    t.deepEqual(merge({ cookie: base }, { cookie: theirs }, { cookie: mine }), { cookie: merged })
    const dated = (session) => ({
      ...session,
      expires: session.expires && new Date(session.expires),
    })
    const [a, b, c, d] = [base, theirs, mine, merged].map((one) => ({ cookie: dated(one) }))
    t.deepEqual(merge(a, b, c), d, 'and so where a serializer knows dates')
  })
}

test('a cookie that is no object is merged like any other value', (t) => {
  t.deepEqual(merge({ cookie: 1 }, { cookie: 2 }, { cookie: 1 }), { cookie: 2 })
  t.deepEqual(merge({ cookie: 1 }, { cookie: 2, a: 1 }, {}), { a: 1 })
  t.deepEqual(merge({}, { cookie: 2 }, { cookie: 3 }), { cookie: 3 })
})

test('values that only some serializers know are compared by what they hold', (t) => {
  const seen = (ms) => ({ seen: new Date(ms), tags: new Set([1]), bytes: Buffer.from('x') })
  t.deepEqual(merge(seen(0), { ...seen(5), a: 1 }, seen(0)), { ...seen(5), a: 1 })
  t.deepEqual(merge(seen(0), seen(5), seen(7)), seen(7))
})

test('what is no plain object cannot be merged', (t) => {
  class Own {}
  for (const other of [null, undefined, 1, 'text', [], new Map(), new Own()]) {
    t.is(merge(other, {}, {}), undefined)
    t.is(merge({}, other, {}), undefined)
    t.is(merge({}, {}, other), undefined)
  }
  t.deepEqual(merge(Object.create(null), {}, { a: 1 }), { a: 1 })
})

/** What the native store makes of the three, where they are JSON. */
function nativeMerge(base, theirs, mine) {
  const { store } = new (createMemoryStore())()
  const now = Date.now()
  const [JSON_TEXT, HOUR] = [1, 3600_000]
  const [first, second, third] = [base, theirs, mine].map((session) => JSON.stringify(session))
  const read = store.set('sid', first, now, HOUR, JSON_TEXT)
  store.set('sid', second, now, HOUR, JSON_TEXT)
  const written = store.merge('sid', third, now, HOUR, read, read, first, 0)
  return { written, session: JSON.parse(store.peek('sid', now)) }
}

/** A cookie as requests leave it. */
const anyCookie = fc.record(
  {
    originalMaxAge: fc.constantFrom(null, 5000, 4999, 4000, 20000),
    expires: fc.constantFrom(null, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:01.000Z'),
    path: fc.constantFrom('/', '/a'),
    secure: fc.boolean(),
  },
  { requiredKeys: ['originalMaxAge', 'expires'] },
)

const anySession = fc
  .tuple(session, fc.option(anyCookie, { nil: undefined }))
  .map(([session, cookie]) =>
    objectOf([...(cookie ? [['cookie', cookie]] : []), ...Object.entries(session)]),
  )

test('the native merge of JSON is the same as this one', (t) => {
  holds(t, [anySession, anySession, anySession], (base, theirs, mine) => {
    const expected = merge(base, theirs, mine)
    const { written, session } = nativeMerge(base, theirs, mine)
    const isMerged = !isDeepStrictEqual(JSON.stringify(base), JSON.stringify(theirs))
    return (
      written % 1 === (isMerged ? 0.5 : 0) && isDeepStrictEqual(session, isMerged ? expected : mine)
    )
  })
})

test('a merge changes none of the three', (t) => {
  holds(t, [session, session, session], (...three) => {
    const before = JSON.stringify(three)
    merge(...three)
    return JSON.stringify(three) === before
  })
})
