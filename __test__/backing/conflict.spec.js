'use strict'

const { runOnBacking } = require('../helpers/on-backing.js')

const TTL = 'lifetimes are the business of the other store'
const LIMITS = '`max` and `maxBytes` limit the near-cache, not the sessions'

runOnBacking(require.resolve('../conflict.spec.js'), {
  different: {
    'a destroyed session stays destroyed even if it had expired or been evicted before': LIMITS,
    'a merged session that is too large is refused, and what is stored stays': LIMITS,
    'what is remembered of destroyed sessions counts in the bytes, and is forgotten':
      'there are so few that they are not counted',
    'an empty text that another one stored is overwritten':
      'the other store is given what `parse` returns, and it returns nothing',
    'a store that is closed by a serializer in a merge says so':
      'close waits for calls that are under way',
    'a cookie of its class goes to the serializer after a merge':
      'the cookies that the other store gives are of no class of express-session',
    'a lifetime that a ttl function shortens is short: a touch (JSON)': TTL,
    'a lifetime that a ttl function shortens is short: a write (JSON)': TTL,
    'a lifetime that a ttl function shortens is short: a touch (a serializer to text)': TTL,
    'a lifetime that a ttl function shortens is short: a write (a serializer to text)': TTL,
    'a lifetime that a ttl function shortens is short: a touch (a serializer that knows dates)':
      TTL,
    'a lifetime that a ttl function shortens is short: a write (a serializer that knows dates)':
      TTL,
  },
})
