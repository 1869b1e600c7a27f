'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { LATER } = REASONS

const CACHED = 'what is cached, or wrong, comes before what the server is asked for'

runOnRedis(require.resolve('../callbacks.spec.js'), {
  different: {
    'callbacks come in the order of the calls, however they end': CACHED,
    'promises and callbacks of mixed calls come in the order of the calls': CACHED,
    'results are those of the moment of the call': LATER,
  },
  // Whether it differs goes by how fast the server is.
  skipped: { 'an operation is done when its call returns, not when its callback runs': LATER },
})
