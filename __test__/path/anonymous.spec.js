'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const ORDER = 'reading a session does not change when it expires, which is the order on a path'

runOnAPath(require.resolve('../anonymous.spec.js'), {
  // One session may be as long as an eighth of it.
  mapSize: 2 ** 23,
  different: {
    'sessions of nobody go first, then those of users; by a path': ORDER,
    'sessions of nobody go first, then those of users; by a function': ORDER,
  },
})
