'use strict'

const { runOnBacking } = require('../helpers/on-backing.js')

const EXPIRED = 'the other store removes what has expired, and tells nobody'
const LIMITS = 'the limits are those of the near-cache; the other store evicts, by its own rules'
const CLOSE = 'the sessions stay in the other store'
const USERS = 'it has no index of users'

const WAYS = ['path', 'function']

runOnBacking(require.resolve('../dispose.spec.js'), {
  different: {
    ...Object.fromEntries(
      ['get', 'touch', 'all', 'prune'].map((how) => [
        `what ${how} finds expired has expired`,
        EXPIRED,
      ]),
    ),
    'what is written over by a session that has expired is replaced, and that expires': EXPIRED,
    'what the background thread prunes has expired': EXPIRED,
    'what makes room for others is evicted': LIMITS,
    'what maxBytes has no room for is evicted': LIMITS,
    'where nothing fits, what is set is evicted': LIMITS,
    'what is gone because the store closes is closed': CLOSE,
    'very many that are gone because the store closes are closed': CLOSE,
    'what was cleared before the store closes was cleared': CLOSE,
    ...Object.fromEntries(
      WAYS.flatMap((way) => [
        [`destroyUser destroys, also all but one or only one; the user is a ${way}`, USERS],
        [
          `what makes room for another session of its user is over the limit; the user is a ${way}`,
          USERS,
        ],
        [`what is refused ends nothing; the user is a ${way}`, USERS],
      ]),
    ),
  },
  skipped: {
    'what the timer prunes has expired': EXPIRED,
    'what a single large session drives out in steps is evicted': LIMITS,
  },
})
