'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { EXPIRY, LIMITS } = REASONS

runOnRedis(require.resolve('../express.spec.js'), {
  different: {
    'Express 5: max logs out whoever was away for longest': LIMITS,
    'Express 4: max logs out whoever was away for longest': LIMITS,
  },
  inexact: {
    'Express 5: rolling false: a read sets no cookie, but the store goes on': EXPIRY,
    'Express 4: rolling false: a read sets no cookie, but the store goes on': EXPIRY,
  },
})
