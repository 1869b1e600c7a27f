'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

runOnAPath(require.resolve('../callbacks.spec.js'), {
  // Whether it differs goes by how fast the background thread is.
  skipped: {
    'callbacks come in the order of the calls, however they end':
      'a prune after a clear waits until the cleared ones are gone from the file',
  },
})
