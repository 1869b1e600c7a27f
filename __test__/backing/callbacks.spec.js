'use strict'

const { runOnBacking } = require('../helpers/on-backing.js')

const LATER = 'a call is done when the other store has answered, not when it returns'
const ORDER = 'what is cached, or wrong, comes before what the other store is asked for'

runOnBacking(require.resolve('../callbacks.spec.js'), {
  different: {
    'callbacks come in the order of the calls, however they end': ORDER,
    'promises and callbacks of mixed calls come in the order of the calls': ORDER,
    'results are those of the moment of the call': LATER,
    'an operation is done when its call returns, not when its callback runs': LATER,
    'an error rejects the promise': LATER,
  },
})
