'use strict'

const { runOnRedis } = require('../helpers/on-redis.js')

runOnRedis(require.resolve('../touch-after.spec.js'))
