'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

runOnAPath(require.resolve('../watch.spec.js'))
