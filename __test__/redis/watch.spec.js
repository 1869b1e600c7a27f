'use strict'

const { runOnRedis } = require('../helpers/on-redis.js')

const NO_LIMIT = 'the server evicts, by its own rules'
const NO_ORDER = 'the sessions have none'
const REMOVED = 'the server removes what has expired by itself'

runOnRedis(require.resolve('../watch.spec.js'), {
  skipped: {
    'a session ends when it is evicted': NO_LIMIT,
    'watching is no use': NO_ORDER,
    'watching removes nothing that has expired': REMOVED,
  },
})
