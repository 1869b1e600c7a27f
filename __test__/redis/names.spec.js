'use strict'

// The keys of a store, without a server.

const fc = require('fast-check')
const test = require('ava')
const { Names } = require('../../lib/redis/names.js')
const { slotOf } = require('../../lib/redis/clients/slot.js')

const ODD = fc.string({
  unit: fc.constantFrom('a', '1', '{', '}', ':', '*', 'sess:', ':destroyed'),
})

/** Stores with prefixes of all forms but one: of an empty hash tag no cluster makes anything. */
const STORES = ['', 'sess:', 'a{b}:', 'a{', '{a{1', 'a}b', '*', '1}{2', ':destroyed'].map(
  (prefix) => ({ prefix, names: new Names(prefix) }),
)
const STORE = fc.constantFrom(...STORES)

test('tombstone and entry are in the slot of their session, whatever braces are in the key', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(STORE, ODD, ({ names }, sid) => {
        const slots = [names.key(sid), names.tombstone(sid), names.entry(sid)].map(slotOf)
        return new Set(slots).size === 1
      }),
    ),
  )
})

test('tombstone and entry are known as such, begin with the prefix, and are no other session’s', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(STORE, ODD, ODD, ({ prefix, names }, sid, other) => {
        // Such sessions are refused.
        fc.pre(![sid, other].some((one) => names.isReserved(names.key(one))))
        const [tombstone, entry] = [names.tombstone(sid), names.entry(sid)]
        const own = [tombstone, entry]
        if (!own.every((key) => names.isReserved(key) && key.startsWith(prefix))) return false
        if (tombstone === entry) return false
        return (
          other === sid ||
          ![names.tombstone(other), names.entry(other)].some((key) => own.includes(key))
        )
      }),
      { numRuns: 1000 },
    ),
  )
})

test('usual keys are connect-redis’s, and no tombstones', (t) => {
  const names = new Names('sess:')
  t.is(names.key('abc'), 'sess:abc')
  t.is(names.tombstone('abc'), 'sess:{sess:abc}')
  t.is(names.entry('abc'), 'sess:{sess:abc}:entry')
  for (const sid of ['abc', '{abc}', 'abc:destroyed', '{12}abc', '']) {
    t.false(names.isReserved(names.key(sid)), sid)
  }
})
