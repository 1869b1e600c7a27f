'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { NATIVE } = REASONS

runOnRedis(require.resolve('../merge.spec.js'), {
  different: { 'the native merge of JSON is the same as this one': NATIVE },
})
