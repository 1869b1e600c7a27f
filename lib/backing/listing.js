'use strict'

/** The sids that another store lists, if it can. */

const { unsupportedError } = require('../errors.js')

/** The sids; undefined if the other store does not tell them. */
async function findSids(calls) {
  if (calls.has('ids')) return (await calls.call('ids')).map(String)
  if (!calls.has('all')) return undefined
  const sessions = (await calls.call('all')) ?? {}
  if (!Array.isArray(sessions)) return Object.keys(sessions)
  const sids = sessions.map((session) => session?.id)
  return sids.every((sid) => typeof sid === 'string') ? sids : undefined
}

/** @throws an Error with the code `ERR_MEMORYSTORE_UNSUPPORTED` if they are not told */
async function listSids(calls, purpose = 'listed') {
  const sids = await findSids(calls)
  if (sids !== undefined) return sids
  const missing = calls.has('all')
    ? 'no `ids`, and an `all` that does not tell the sids'
    : 'neither `ids` nor `all`'
  throw unsupportedError(purpose, missing)
}

module.exports = { findSids, listSids }
