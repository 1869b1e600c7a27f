'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { EXPIRED, FIGURES, LATER, LIMITS, ORDER, PRUNE } = REASONS

runOnRedis(require.resolve('../slices.spec.js'), {
  // Many thousand calls at once keep the event loop from connecting the store of another test.
  isSerial: true,
  different: {
    'a small store is listed as it is at the moment of the call': LATER,
    'prune removes what has expired, and nothing else, and keeps the order': FIGURES,
    'a prune of a few hundred is done when the call returns': FIGURES,
    'with dispose, a long prune and clear hand out in slices and answer at the end': EXPIRED,
    'with dispose, clear of a few hands out at once, the most recently used first': LATER,
    'one session that needs the room of very many lets them go bit by bit': LIMITS,
    'after clear, everything is gone at once': LATER,
    'an expired session does not show in all and entries, and is disposed of once': EXPIRED,
    'with stale, all and entries give an expired session once': EXPIRED,
    'a session that cannot be read fails all, and throws from entries where it comes': ORDER,
    'what dispose throws fails all and is thrown from entries': EXPIRED,
    'keys lists what has expired, as ids does': EXPIRED,
    'odd sids come as they are through the slices': ORDER,
  },
  skipped: {
    'prune leaves the work to the background thread': PRUNE,
    'what is written while a prune is under way stays': PRUNE,
    'what a long prune has yet to remove counts, but is never found': PRUNE,
    'a prune that takes over from another ends both': PRUNE,
    'clear ends a prune that is under way': PRUNE,
    'close in the middle lets prune and length come to their end': PRUNE,
    'entries gives a session as it is when it comes, and none that is gone by then':
      'some hundred sessions are read at once, maybe that one too',
  },
  unordered: {
    'ids lists every sid of a large store, the most recently used first': ORDER,
    'all reads every session of a large store, the most recently used first': ORDER,
    'a session that expires while all is under way is in the result at most once': ORDER,
    'the iterators go through all, the most recently used first': ORDER,
    'sessions can be destroyed while they are iterated over': ORDER,
    'iterating and listing do not change the order of use and count no hits': ORDER,
    'entries and all read by the custom serializer exactly what it wrote': ORDER,
    'several listings and prunes at a time do not disturb each other': ORDER,
  },
})
