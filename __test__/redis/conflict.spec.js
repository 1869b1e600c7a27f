'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { EXPIRY, LIMITS } = REASONS

runOnRedis(require.resolve('../conflict.spec.js'), {
  different: {
    'a destroyed session stays destroyed even if it had expired or been evicted before': LIMITS,
    'a merged session that is too large is refused, and what is stored stays': LIMITS,
    'a store that is closed by a serializer in a merge says so':
      'calls under way at close are done',
    'what is remembered of destroyed sessions counts in the bytes, and is forgotten':
      'the server remembers them',
  },
  inexact: {
    'a renewal stays though who read before ends later: a touch after a touch (JSON)': EXPIRY,
    'a renewal stays though who read before ends later: a write after a touch (JSON)': EXPIRY,
    'an earlier clock shortens what nobody else has renewed: a touch (JSON)': EXPIRY,
    'a renewal stays though who read before ends later: a touch after a touch (a serializer to text)':
      EXPIRY,
    'a renewal stays though who read before ends later: a write after a touch (a serializer to text)':
      EXPIRY,
    'an earlier clock shortens what nobody else has renewed: a touch (a serializer to text)':
      EXPIRY,
    'a renewal stays though who read before ends later: a touch after a touch (a serializer that knows dates)':
      EXPIRY,
    'a renewal stays though who read before ends later: a write after a touch (a serializer that knows dates)':
      EXPIRY,
    'an earlier clock shortens what nobody else has renewed: a touch (a serializer that knows dates)':
      EXPIRY,
  },
})
