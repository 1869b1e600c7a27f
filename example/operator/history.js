'use strict'

/**
 * The samples of the last minutes, of all processes together. There are never more than `LENGTH`
 * of them, each of some twenty numbers.
 */

const LENGTH = 120

module.exports = { LENGTH, createHistory, keep }

/**
 * @param isShared whether all processes have the same sessions, so that theirs are not added up
 * @param now the time
 */
function createHistory({ isShared, now }) {
  const samples = []
  /** What each process has told last. */
  const gauges = new Map()
  let counts = {}
  let pauses = {}
  let began = now

  return {
    samples,

    /** Takes in what the process `id` tells. */
    report(id, figures) {
      gauges.set(id, figures.gauges)
      counts = join(counts, figures.counts, add)
      pauses = join(pauses, figures.pauses, Math.max)
    },

    /** The process `id` has ended; what it counted stays. */
    forget(id) {
      gauges.delete(id)
    },

    /** Makes a sample of what was told since the last one, and returns it. */
    tick(now) {
      const all = [...gauges.values()]
      const sample = {
        at: now,
        // The clock may have been set back.
        seconds: Math.max(1, now - began) / 1000,
        processes: all.length,
        ...all.reduce((sum, one) => join(sum, one, isShared ? Math.max : add), {}),
        ...counts,
        ...pauses,
      }
      began = now
      counts = {}
      pauses = {}
      keep(samples, [sample])
      return sample
    },
  }
}

/** Puts `more` samples behind `samples`, and drops the oldest. */
function keep(samples, more) {
  samples.push(...more)
  samples.splice(0, Math.max(0, samples.length - LENGTH))
}

/** The figures of both, those that both have put together by `combine`. */
function join(one, other, combine) {
  const joined = { ...one }
  for (const [name, value] of Object.entries(other)) {
    if (value === undefined) continue
    joined[name] = joined[name] === undefined ? value : combine(joined[name], value)
  }
  return joined
}

function add(one, other) {
  return one + other
}
