'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const CLOSE = 'the sessions stay in the file'

runOnAPath(require.resolve('../dispose.spec.js'), {
  different: {
    'what is gone because the store closes is closed': CLOSE,
    'very many that are gone because the store closes are closed': CLOSE,
    'what was cleared before the store closes was cleared': CLOSE,
  },
})
