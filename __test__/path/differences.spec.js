'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const ORDER = 'the order is that of expiry, which a get leaves alone'
const FIRST = 'what has expired, or expires sooner, comes last and goes first'
const CLOSE = 'closing leaves the sessions in the file, and disposes of none'
const SIDS = 'a sid has between 1 and 503 bytes'

runOnAPath(require.resolve('../differences.spec.js'), {
  mapSize: 2 ** 30,
  different: {
    'a prune in the background keeps the order of use too': ORDER,
    'what dispose throws is thrown from set that evicts, which is done by then': FIRST,
    'what dispose throws is thrown from clear, which is done by then': FIRST,
    'a sid that is undefined is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is null is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is a symbol is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is an object is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is a String object is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is an array is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is a function is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is a date is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid that is a buffer is a TypeError to the callback, and nobody’s session': SIDS,
    'a sid such as __proto__ is an ordinary key of it': SIDS,
    'strings that resemble each other are different sids': SIDS,
    'what dispose throws goes to the callback of touch, which is done by then': FIRST,
    'what dispose throws is thrown from set over an old one, which is done by then': FIRST,
    'what dispose throws is thrown from destroy, which is done by then': FIRST,
    'what dispose throws is thrown from destroy of many, which is done by then': FIRST,
  },
  skipped: {
    'stopInterval and close leave nothing undisposed that was pruned': CLOSE,
    'what dispose throws is thrown from close, which is done by then': CLOSE,
  },
})
