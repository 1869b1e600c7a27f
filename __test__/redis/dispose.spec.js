'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { EXPIRED, LIMITS, CLOSE } = REASONS

runOnRedis(require.resolve('../dispose.spec.js'), {
  different: {
    ...Object.fromEntries(
      ['get', 'touch', 'all', 'prune'].map((how) => [
        `what ${how} finds expired has expired`,
        EXPIRED,
      ]),
    ),
    'what is written over by a session that has expired is replaced, and that expires': EXPIRED,
    'what the background thread prunes has expired': EXPIRED,
    'what makes room for others is evicted': LIMITS,
    'what maxBytes has no room for is evicted': LIMITS,
    'where nothing fits, what is set is evicted': LIMITS,
    'what is gone because the store closes is closed': CLOSE,
    'very many that are gone because the store closes are closed': CLOSE,
    'what was cleared before the store closes was cleared': CLOSE,
  },
  skipped: {
    'what the timer prunes has expired': EXPIRED,
    'what a single large session drives out in steps is evicted': LIMITS,
  },
})
