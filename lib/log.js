'use strict'

/** The log of `DEBUG=memorystore`. It shows neither a sid nor anything of a session. */

const { createHash } = require('node:crypto')
const debug = require('debug')('memorystore')

module.exports = { debug, tag }

/** A sid as the log shows it: the start of its SHA-256, enough to tell sessions apart. */
function tag(sid) {
  return createHash('sha256').update(sid).digest('hex').slice(0, 8)
}
