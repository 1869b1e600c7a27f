'use strict'

/** The sids that another store lists, if it can. */

const { unsupportedError } = require('../errors.js')

/** @throws an Error with the code `ERR_MEMORYSTORE_UNSUPPORTED` if it does not tell them */
async function listSids(calls) {
  if (calls.has('ids')) return (await calls.call('ids')).map(String)
  if (!calls.has('all')) throw unsupportedError('listed', 'neither `ids` nor `all`')
  const sessions = (await calls.call('all')) ?? {}
  if (!Array.isArray(sessions)) return Object.keys(sessions)
  const sids = sessions.map((session) => session?.id)
  if (sids.every((sid) => typeof sid === 'string')) return sids
  throw unsupportedError('listed', 'no `ids`, and an `all` that does not tell the sids')
}

function canList(calls) {
  return calls.has('ids') || calls.has('all')
}

module.exports = { canList, listSids }
