'use strict'

const { runOnRedis } = require('../helpers/on-redis.js')

runOnRedis(require.resolve('../merge.spec.js'))
