'use strict'

// The keys of a store, without a server.

const fc = require('fast-check')
const test = require('ava')
const { Names } = require('../../lib/redis/names.js')
const { slotOf } = require('../../lib/redis/clients/slot.js')

const ODD = fc.string({
  unit: fc.constantFrom('a', '1', '{', '}', ':', '*', 'sess:', ':destroyed'),
})

/** Of an empty hash tag no cluster makes anything, and it is the first one of all keys. */
const hasNoTag = (prefix) => !/^[^{]*\{\}/.test(prefix)

test('a tombstone is in the slot of its session, whatever braces are in the key', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(ODD.filter(hasNoTag), ODD, (prefix, sid) => {
        const names = new Names(prefix)
        return slotOf(names.tombstone(sid)) === slotOf(names.key(sid))
      }),
    ),
  )
})

test('a tombstone is known as one, begins with the prefix, and is no other session’s', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(ODD, ODD, ODD, (prefix, sid, other) => {
        const names = new Names(prefix)
        const tombstone = names.tombstone(sid)
        if (!names.isTombstone(tombstone) || !tombstone.startsWith(prefix)) return false
        return other === sid || names.tombstone(other) !== tombstone
      }),
      { numRuns: 1000 },
    ),
  )
})

test('usual keys are connect-redis’s, and no tombstones', (t) => {
  const names = new Names('sess:')
  t.is(names.key('abc'), 'sess:abc')
  t.is(names.tombstone('abc'), 'sess:{sess:abc}')
  for (const sid of ['abc', '{abc}', 'abc:destroyed', '{12}abc', '']) {
    t.false(names.isTombstone(names.key(sid)), sid)
  }
})
