'use strict'

const { runOnAPath } = require('../helpers/on-a-path.js')

const CLOSE = 'the sessions stay in the file'
const USERS = 'the file has no index of users yet'

const WAYS = ['path', 'function']

runOnAPath(require.resolve('../dispose.spec.js'), {
  different: {
    'what is gone because the store closes is closed': CLOSE,
    'very many that are gone because the store closes are closed': CLOSE,
    'what was cleared before the store closes was cleared': CLOSE,
    ...Object.fromEntries(
      WAYS.flatMap((way) => [
        [`destroyUser destroys, also all but one or only one; the user is a ${way}`, USERS],
        [
          `what makes room for another session of its user is over the limit; the user is a ${way}`,
          USERS,
        ],
        [`what is refused ends nothing; the user is a ${way}`, USERS],
      ]),
    ),
  },
})
