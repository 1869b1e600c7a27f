'use strict'

const { runOnBacking } = require('../helpers/on-backing.js')

const NO_LIMIT = 'the other store evicts, by its own rules'
const NO_ORDER = 'the sessions have none'
const REMOVED = 'the other store removes what has expired by itself'

runOnBacking(require.resolve('../watch.spec.js'), {
  skipped: {
    'a session ends when it is evicted': NO_LIMIT,
    'watching is no use': NO_ORDER,
    'watching removes nothing that has expired': REMOVED,
  },
})
