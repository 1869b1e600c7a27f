'use strict'

/**
 * Lists of very many sids and sessions: made by the background thread, taken one slice per turn.
 */

const { inThisRealm } = require('../errors.js')
const { eachSlice, listInto } = require('../turns.js')

/** Up to this many sessions are listed during the call, as they are at that moment. */
const AT_ONCE = 2000

/** How many sids are listed in one turn of the event loop. */
const SIDS_A_TURN = 2000

/** Makes the background thread list the sids. Returns a function that takes the next of them. */
function list({ native }) {
  const take = inThisRealm(() => native.list())
  return (sids, limit) => inThisRealm(() => take(sids, limit))
}

async function collectIds(engine) {
  const ids = []
  await listInto(ids, list(engine), SIDS_A_TURN)
  engine.state.assertOpen('ids')
  return ids
}

/** Yields the sids, `size` of them a turn, for as long as the store is open. */
async function* eachSid(engine, method, size = SIDS_A_TURN) {
  const { state } = engine
  state.assertOpen(method)
  for await (const sids of eachSlice(list(engine), size)) {
    for (const sid of sids) {
      state.assertOpen(method)
      yield sid
    }
  }
}

module.exports = { AT_ONCE, collectIds, eachSid }
