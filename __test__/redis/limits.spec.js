'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { FIGURES, LIMITS } = REASONS

runOnRedis(require.resolve('../limits.spec.js'), {
  different: {
    'the least recently used sessions go when the budget is exceeded': LIMITS,
    'one large session makes as many go as it needs room of': LIMITS,
    'max and maxBytes work together: whichever is exceeded evicts': LIMITS,
    'set refuses a session larger than the budget, and the old one stays': LIMITS,
    'a session exactly as large as the budget fits, and one byte less does not do': LIMITS,
    'touch refuses a cookie that makes the session larger than the budget': LIMITS,
    'a session that grows by touch or set makes others go': LIMITS,
    'dispose is called for what the budget makes go, the least recently used first': LIMITS,
    'the bytes go up with what is stored, and down again when all is gone': FIGURES,
  },
})
