'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

runOnAPath(require.resolve('../users.spec.js'))
