'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { LIMITS } = REASONS

const DONE = 'a touch that changes anything else of the cookie is always done'

runOnRedis(require.resolve('../touch-after.spec.js'), {
  different: {
    'a touch is left out where it would move the expiry by less; in place': DONE,
    'a touch is left out where it would move the expiry by less; with a dispose': DONE,
    'a touch is left out where it would move the expiry by less; with a serializer': DONE,
    'a touch that is left out is a use': LIMITS,
  },
})
