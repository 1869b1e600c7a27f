'use strict'

/**
 * Work that would hold up the event loop for too long: done in slices, one per turn.
 */

const { setImmediate, setTimeout } = require('./real.js')

module.exports = { eachSlice, listInto, sorted, turn, until, whenOver }

/** How long to wait for the background thread before looking again, in milliseconds. */
const PAUSE = 1

/** Waits for a later turn of the event loop. */
function turn() {
  return new Promise((resolve) => setImmediate(resolve))
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve, PAUSE))
}

/** Waits until `probe` gives something other than undefined, which is the result. */
async function until(probe) {
  for (;;) {
    const result = probe()
    if (result !== undefined) return result
    await pause()
  }
}

/** Waits until `isUnderWay` gives false. */
function whenOver(isUnderWay) {
  return until(() => (isUnderWay() ? undefined : null)).then(() => undefined)
}

/**
 * Yields the sids of a native listing in slices of `size`, each in a turn of its own. `take` is
 * what the native `list` returned.
 */
async function* eachSlice(take, size) {
  for (;;) {
    const sids = []
    const left = await until(() => take(sids, size))
    if (sids.length > 0) yield sids
    if (left === 0) return
    await turn()
  }
}

/** Appends all sids to `list`, `size` per turn. */
async function listInto(list, take, size) {
  while ((await until(() => take(list, size))) > 0) await turn()
}

/** How many elements are sorted in one turn of the event loop. */
const SORTED_A_TURN = 2000

/** Sorts a list that may be very long. */
async function sorted(list, compare) {
  let runs = []
  for (let at = 0; at < list.length; at += SORTED_A_TURN) {
    runs.push(list.slice(at, at + SORTED_A_TURN).sort(compare))
    await turn()
  }
  while (runs.length > 1) {
    const longer = []
    for (let i = 0; i < runs.length; i += 2) {
      longer.push(await mergedRuns(runs[i], runs[i + 1] ?? [], compare))
    }
    runs = longer
  }
  return runs[0] ?? []
}

async function mergedRuns(one, other, compare) {
  const merged = []
  for (let [i, j] = [0, 0]; merged.length < one.length + other.length;) {
    const isOne = j === other.length || (i < one.length && compare(one[i], other[j]) <= 0)
    merged.push(isOne ? one[i++] : other[j++])
    if (merged.length % SORTED_A_TURN === 0) await turn()
  }
  return merged
}
