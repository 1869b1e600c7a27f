'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const ORDER = 'the order is that of expiry, which a get leaves alone'
const BYTES = 'bytes are reckoned as the file needs them'

runOnAPath(require.resolve('../limits.spec.js'), {
  different: {
    'the bytes go up with what is stored, and down again when all is gone': BYTES,
    'the least recently used sessions go when the budget is exceeded': ORDER,
  },
  // Whether it differs goes by the size of the file's pages.
  skipped: {
    'set refuses a session larger than the budget, and the old one stays': BYTES,
    'one large session makes as many go as it needs room of': BYTES,
    'a session that grows by touch or set makes others go': BYTES,
  },
})
