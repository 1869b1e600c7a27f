'use strict'

const { runOnRedis } = require('../helpers/on-redis.js')

const PARSED = 'a touch parses the session and stores it anew'

runOnRedis(require.resolve('../touch.spec.js'), {
  different: {
    'keys in the order of a Proxy stay where they are': PARSED,
    'a usual session is touched without being parsed': PARSED,
    'so it is with a dispose that is not called for what a touch overwrites': PARSED,
  },
  skipped: {
    'a touch stores what parse, assign and stringify would, byte for byte':
      'where only the expiry of the cookie moves, the text is left as it is',
  },
})
