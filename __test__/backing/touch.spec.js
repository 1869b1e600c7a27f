'use strict'

const { runOnBacking } = require('../helpers/on-backing.js')

const VALUES = 'the other store keeps values, not texts'

runOnBacking(require.resolve('../touch.spec.js'), {
  different: {
    'keys in the order of a Proxy stay where they are': VALUES,
    'a usual session is touched without being parsed': VALUES,
    'so it is with a dispose that is not called for what a touch overwrites': VALUES,
    'with a dispose it is parsed, because the old text is disposed of': VALUES,
  },
  skipped: {
    'a touch stores what parse, assign and stringify would, byte for byte':
      'sessions that are null, false or an empty text are none to the other store',
  },
})
