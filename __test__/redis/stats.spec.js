'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { EXPIRED, FIGURES, LIMITS, PRUNE } = REASONS

runOnRedis(require.resolve('../stats.spec.js'), {
  different: {
    'a new store has figures of 0': 'there are more of them',
    'sessions counts what is stored, and what expired until it is removed': FIGURES,
    'bytes counts sids, bodies and overhead': FIGURES,
    'sets counts what was written by set': FIGURES,
    'stats of one store are not those of another, and asking changes nothing': FIGURES,
    'the metrics are read anew whenever they are collected': FIGURES,
    'evictions are counted by what made them necessary': LIMITS,
    'hits and misses count the calls of get, and of nothing else': EXPIRED,
    'an expired session that stale lets get read is a hit and an expiration': EXPIRED,
    'touches counts what was renewed by touch, whichever way it was': EXPIRED,
    'expirations counts what was removed because it had expired, whoever came across it': EXPIRED,
    'a store with dispose has the same figures': EXPIRED,
    'every figure is a metric of prom-client': EXPIRED,
    'a registry and a prefix can be chosen': 'there are more metrics',
    'a prune of an empty store counts as well': PRUNE,
  },
  // These would go on for ever.
  skipped: {
    'prunes counts those that were done, by hand and by checkPeriod': PRUNE,
    'lastPruneMs is how long the last prune took, until the background thread was done': PRUNE,
  },
})
