'use strict'

const { runOnBacking } = require('../helpers/on-backing.js')

runOnBacking(require.resolve('../races.spec.js'))
