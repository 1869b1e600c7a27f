'use strict'

// The merge of what two requests made of one session, by its laws.

const test = require('ava')
const fc = require('fast-check')
const { isDeepStrictEqual } = require('node:util')

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

test('a key that both changed is mine, whether set or deleted', (t) => {
  holds(t, [session, session, session], (base, stored, mine) => {
    const merged = merge(base, stored, mine)
    return KEYS.every((key) => {
      const of = (object) => (Object.hasOwn(object, key) ? [object[key]] : [])
      const isTheirs = isDeepStrictEqual(of(base), of(mine))
      return isDeepStrictEqual(of(merged), of(isTheirs ? stored : mine))
    })
  })
})

test('the cookie is mine, even where only the other side changed it', (t) => {
  t.deepEqual(merge({ cookie: 1 }, { cookie: 2 }, { cookie: 1 }), { cookie: 1 })
  t.deepEqual(merge({ cookie: 1 }, { cookie: 2, a: 1 }, {}), { a: 1 })
  t.deepEqual(merge({}, { cookie: 2 }, { cookie: 3 }), { cookie: 3 })
})

test('the merge is by top-level key: what is nested in it goes as a whole', (t) => {
  const base = { cart: { apples: 1 } }
  const stored = { cart: { apples: 1, pears: 1 } }
  const mine = { cart: { apples: 2 } }
  t.deepEqual(merge(base, stored, mine), { cart: { apples: 2 } })
})

test('values that only some serializers know are compared by what they hold', (t) => {
  const at = (ms) => ({ seen: new Date(ms), tags: new Set([1]), bytes: Buffer.from('x') })
  t.deepEqual(merge(at(0), { ...at(5), a: 1 }, at(0)), { ...at(5), a: 1 })
  t.deepEqual(merge(at(0), at(5), at(7)), at(7))
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

test('a merge changes none of the three', (t) => {
  holds(t, [session, session, session], (...three) => {
    const before = JSON.stringify(three)
    merge(...three)
    return JSON.stringify(three) === before
  })
})
