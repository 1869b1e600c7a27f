'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

runOnAPath(require.resolve('../touch.spec.js'), {
  mapSize: 2 ** 28,
})
