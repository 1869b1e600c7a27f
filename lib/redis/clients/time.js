'use strict'

/** Waiting that keeps no process alive. */

const { clearTimeout, setTimeout } = require('../../real.js')
const { silentError } = require('./errors.js')

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}

/** What `promise` settles to, or an error if it does not within `ms`. */
function within(ms, promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(silentError()), ms).unref()
    promise.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}

module.exports = { pause, within }
