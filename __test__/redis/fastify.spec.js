'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { LIMITS } = REASONS

runOnRedis(require.resolve('../fastify.spec.js'), {
  different: {
    'bare store: max logs out whoever was away for longest': LIMITS,
    "express-session's Store: max logs out whoever was away for longest": LIMITS,
  },
})
