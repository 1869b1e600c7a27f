'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { NATIVE } = REASONS

runOnRedis(require.resolve('../cookie.spec.js'), {
  different: {
    'a session has the cookie it was touched with last, whatever cookies came before': NATIVE,
    'a cookie whose members change from touch to touch is stored as it is': NATIVE,
    'a store that was cleared takes the cookies it knew': NATIVE,
  },
})
