'use strict'

/**
 * The processor time of the thread that asks. Bounds on it hold on a machine that is busy
 * elsewhere, where any thread may wait for a processor at any moment and for any time.
 */

const { openSync, readSync } = require('node:fs')

/** A function that gives the milliseconds so far; undefined on systems that do not tell. */
function threadClock() {
  // Node 20 and 22.0 have none.
  if (process.threadCpuUsage) {
    return () => {
      const { user, system } = process.threadCpuUsage()
      return (user + system) / 1000
    }
  }
  if (process.platform !== 'linux') return undefined
  // The thread that opens it is the one it tells of. Its first number is of nanoseconds.
  const file = openSync('/proc/thread-self/schedstat')
  const text = Buffer.alloc(100)
  return () => parseInt(text.latin1Slice(0, readSync(file, text, 0, text.length, 0))) / 1e6
}

module.exports = { threadClock }
