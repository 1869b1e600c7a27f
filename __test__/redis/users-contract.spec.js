'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const BYTES = '`bytes` are those of the text'

const WAYS = ['by a path', 'by a function', 'with a serializer']

runOnRedis(require.resolve('../users.spec.js'), {
  different: {
    ...Object.fromEntries(
      WAYS.map((way) => [`a user's sessions are listed, the one used last first; ${way}`, BYTES]),
    ),
    ...Object.fromEntries(
      WAYS.map((way) => [
        `what a user may not have makes room before what others have; ${way}`,
        REASONS.LIMITS,
      ]),
    ),
    'info tells of a session without using it': REASONS.LIMITS,
  },
})
