'use strict'

/** Process warnings: for problems that no call can report by failing. */

module.exports = {
  warn,
  warnOfDamage,
  warnOfKey,
  warnOfNoTracking,
  warnOfReplacement,
  warnOfSync,
}

function warn(code, message) {
  process.emitWarning(`memorystore-rs: ${message}`, { type: 'MemoryStoreWarning', code })
}

function warnOfDamage(path, setAside) {
  warn(
    'MEMORYSTORE_RS_DAMAGED',
    `the session file in ${path} was damaged, or made by another version. It was renamed to ${setAside}, and the store is empty.`,
  )
}

/** @param notice what happened to the files, in the words of the native store */
function warnOfReplacement(notice) {
  warn('MEMORYSTORE_RS_REPLACED', notice)
}

function warnOfSync(err) {
  warn(
    'MEMORYSTORE_RS_SYNC',
    `${err.message.replace('memorystore-rs: ', '')}. What was written since the last sync may not survive a power failure.`,
  )
}

/** @param err why what has left the store cannot be decrypted for `dispose` */
function warnOfKey(err) {
  warn(
    'MEMORYSTORE_RS_KEY',
    `${err.message.replace('memorystore-rs: ', '')}. \`dispose\` is not called for such sessions.`,
  )
}

/** Redis does not tell of changes: the near-cache is off. */
function warnOfNoTracking() {
  warn(
    'MEMORYSTORE_RS_NO_TRACKING',
    'the Redis server, the account or a proxy does not let this store track changes (CLIENT TRACKING). Every read asks the server. To switch this warning off, give `maxStale: 0`.',
  )
}
