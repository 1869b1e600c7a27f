'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const ORDER = 'the order is that of expiry, which a get leaves alone'
const FIRST = 'what has expired, or expires sooner, comes last and goes first'
const SIDS = 'a sid has between 1 and 503 bytes'

runOnAPath(require.resolve('../slices.spec.js'), {
  mapSize: 2 ** 30,
  different: {
    'ids lists every sid of a large store, the most recently used first': ORDER,
    'odd sids come as they are through the slices': SIDS,
    'prune removes what has expired, and nothing else, and keeps the order': ORDER,
    'all reads every session of a large store, the most recently used first': ORDER,
    'with stale, all and entries give an expired session once': FIRST,
    'a prune of a few hundred is done when the call returns': FIRST,
    'with dispose, a long prune and clear hand out in slices and answer at the end':
      'close leaves the sessions in the file',
  },
})
