'use strict'

/** Process warnings: what a store has to tell where no call is there to fail. */

module.exports = { warn, warnOfDamage, warnOfReplacement, warnOfSync }

function warn(code, message) {
  process.emitWarning(`memorystore-rs: ${message}`, { type: 'MemoryStoreWarning', code })
}

function warnOfDamage(path, setAside) {
  warn(
    'MEMORYSTORE_RS_DAMAGED',
    `the file of the sessions in ${path} is damaged, or of another version. It is now ${setAside}, and the store is empty.`,
  )
}

/** @param notice what became of the files, as the native store tells it */
function warnOfReplacement(notice) {
  warn('MEMORYSTORE_RS_REPLACED', notice)
}

function warnOfSync(err) {
  warn(
    'MEMORYSTORE_RS_SYNC',
    `${err.message.replace('memorystore-rs: ', '')}. What was written since the last time may not survive a power failure.`,
  )
}
