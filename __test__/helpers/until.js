'use strict'

module.exports = { until }

/** Waits until `condition()` is true, whatever clock is faked. */
async function until(condition) {
  const deadline = process.hrtime.bigint() + PATIENCE
  while (!(await condition())) {
    if (process.hrtime.bigint() > deadline) throw new Error(`never came true: ${condition}`)
    await new Promise((resolve) => realSetTimeout(resolve, 5))
  }
}

/** How long to wait for what has to come, in nanoseconds: it only ends what would hang. */
const PATIENCE = 10n * 60_000_000_000n

// Tests fake the global one.
const realSetTimeout = setTimeout
