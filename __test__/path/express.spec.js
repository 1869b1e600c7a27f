'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

// One session may be as long as an eighth of the file.
runOnAPath(require.resolve('../express.spec.js'), { mapSize: 2 ** 24 })
