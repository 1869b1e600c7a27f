'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const FIRST = 'what has expired, or expires sooner, comes last and goes first'
const BYTES = 'bytes are reckoned as the file needs them'

runOnAPath(require.resolve('../stats.spec.js'), {
  different: {
    'bytes counts sids, bodies and overhead': BYTES,
    'a store with dispose has the same figures': FIRST,
    'evictions are counted by what made them necessary': BYTES,
    'every figure is a metric of prom-client': BYTES,
  },
})
