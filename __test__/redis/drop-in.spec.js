'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { EXPIRED, LATER, LIMITS, ORDER } = REASONS

runOnRedis(require.resolve('../drop-in.spec.js'), {
  different: {
    'get removes what has expired (memorystore-rs)': EXPIRED,
    'with stale, get gives what has expired once (memorystore-rs)': EXPIRED,
    'a negative maxAge is expired at once (memorystore-rs)': EXPIRED,
    'an existing session that is set expired is gone (memorystore-rs)': EXPIRED,
    'with stale, touch revives what has expired (memorystore-rs)': EXPIRED,
    'ids are listed most recently used first, expired ones included (memorystore-rs)': EXPIRED,
    'with stale, all lists what has expired once (memorystore-rs)': EXPIRED,
    'length counts, expired ones included (memorystore-rs)': EXPIRED,
    'an overwrite of what has expired disposes of the old text (memorystore-rs)': EXPIRED,
    'get disposes of what has expired (memorystore-rs)': EXPIRED,
    'touch disposes of what has expired (memorystore-rs)': EXPIRED,
    'all disposes of what has expired, most recently used first (memorystore-rs)': EXPIRED,
    'prune disposes of what has expired, most recently used first (memorystore-rs)': EXPIRED,
    'with stale, what is read once more has been disposed of (memorystore-rs)': EXPIRED,
    'stale and noDisposeOnSet go by truthiness (memorystore-rs)': EXPIRED,
    'get makes a session the most recently used (memorystore-rs)': LIMITS,
    'set makes a session the most recently used (memorystore-rs)': LIMITS,
    'touch makes a session the most recently used (memorystore-rs)': LIMITS,
    'a set over max evicts the least recently used, expired or not (memorystore-rs)': LIMITS,
    'max: 1 keeps the last one (memorystore-rs)': LIMITS,
    'an eviction disposes (memorystore-rs)': LIMITS,
    'where nothing fits, a set disposes of what was set (memorystore-rs)': LIMITS,
    'a max of 1.5 is 1, and one of 0.5 is 0 (memorystore-rs)': LIMITS,
    'dispose has been called when the call returns (memorystore-rs)': LATER,
    'a dispose that is no function makes the call throw that would use it (memorystore-rs)': LATER,
    'called with nothing, the class extends EventEmitter and no express store':
      "the helper's class stands in between",
  },
  skipped: {
    'a ttl between 0 and 1 lives for the rest of the millisecond (memorystore-rs)':
      'that is over when the server has answered',
  },
  unordered: {
    'set gives (error) where stringify throws, and the old session stays (memorystore-rs)': ORDER,
    'all gives the sessions, most recently used first, and removes expired ones (memorystore-rs)':
      ORDER,
    'ids does not change the order of use (memorystore-rs)': ORDER,
    'all does not change the order of use (memorystore-rs)': ORDER,
    'length does not change the order of use (memorystore-rs)': ORDER,
    'a set that fails does not change the order of use (memorystore-rs)': ORDER,
    'destroying another session does not change the order of use (memorystore-rs)': ORDER,
    'getting what is missing does not change the order of use (memorystore-rs)': ORDER,
    'a touch that fails still counts as a use (memorystore-rs)': ORDER,
    'a set of an existing session evicts nothing (memorystore-rs)': ORDER,
    'clear disposes of everything, most recently used first (memorystore-rs)': ORDER,
  },
})
