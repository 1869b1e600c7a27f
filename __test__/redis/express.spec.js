'use strict'

const { runOnRedis } = require('../helpers/on-redis.js')

runOnRedis(require.resolve('../express.spec.js'))
