'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const ORDER = 'the order is that of expiry, which a get leaves alone'
const FIRST = 'what has expired, or expires sooner, comes last and goes first'

runOnAPath(require.resolve('../drop-in.spec.js'), {
  different: {
    'ids are listed most recently used first, expired ones included (memorystore-rs)': FIRST,
    'get makes a session the most recently used (memorystore-rs)': ORDER,
    'touch makes a session the most recently used (memorystore-rs)': FIRST,
    'a touch that fails still counts as a use (memorystore-rs)': ORDER,
    'a set over max evicts the least recently used, expired or not (memorystore-rs)': FIRST,
    'all disposes of what has expired, most recently used first (memorystore-rs)': ORDER,
    'prune disposes of what has expired, most recently used first (memorystore-rs)': FIRST,
    'clear disposes of everything, most recently used first (memorystore-rs)': ORDER,
    'called with nothing, the class extends EventEmitter and no express store':
      "the helper's class stands in between",
  },
})
