'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

runOnAPath(require.resolve('../lifetime-limit.spec.js'))
