'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const WAYS = [
  'in place',
  'told by a function',
  'with a dispose',
  'with a serializer',
  'with a user',
]

runOnRedis(require.resolve('../lifetime-limit.spec.js'), {
  different: {
    'a session that is over may be read once more if the store is stale': REASONS.EXPIRED,
  },
  inexact: {
    ...Object.fromEntries(
      WAYS.map((way) => [`writes do not lengthen it, nor does the cookie; ${way}`, REASONS.EXPIRY]),
    ),
    'another user begins a new life': REASONS.EXPIRY,
    'the lifetime can depend on the session': REASONS.EXPIRY,
    'a clock that was set back does not lengthen a life': REASONS.EXPIRY,
  },
})
