'use strict'

const { runOnBacking } = require('../helpers/on-backing.js')

const TTL = 'lifetimes are the business of the other store'
const MAX = '`max` limits the near-cache, not the sessions'
const PARSED = 'the other store is given what `parse` returns, so `set` fails already'

runOnBacking(require.resolve('../express.spec.js'), {
  different: {
    'Express 5: a session without maxAge ends a day after the last request': TTL,
    'Express 4: a session without maxAge ends a day after the last request': TTL,
    'Express 5: the option ttl outlives the cookie': TTL,
    'Express 4: the option ttl outlives the cookie': TTL,
    'Express 5: max logs out whoever was away for longest': MAX,
    'Express 4: max logs out whoever was away for longest': MAX,
    'Express 5: an error of the serializer reaches the error handler': PARSED,
    'Express 4: an error of the serializer reaches the error handler': PARSED,
  },
})
