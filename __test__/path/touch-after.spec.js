'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const ORDER = 'the order is that of expiry, which a get leaves alone'

runOnAPath(require.resolve('../touch-after.spec.js'), {
  different: {
    'a touch that is left out is a use': ORDER,
  },
})
