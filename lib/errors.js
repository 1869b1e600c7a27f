'use strict'

/**
 * Errors of the native store as errors of the realm that the package was loaded in: under Jest
 * what native code makes is no `Error` to the caller.
 */

const { isNativeError } = require('node:util/types')

module.exports = { ofThisRealm, openingError }

/** How the texts of the native store begin. */
const OURS = 'memorystore-rs: '

function ofThisRealm(err) {
  if (err instanceof Error || !isNativeError(err) || !err.message.startsWith(OURS)) return err
  return errorOf(err.message, err.code)
}

/** Why a store could not be opened, as the native `createStore` tells it; undefined if it was. */
function openingError({ differing, error, code }, { name, path }) {
  if (error !== undefined) return errorOf(error, code)
  if (differing === undefined) return undefined
  const [store, kind] =
    path === undefined
      ? [`the store named ${JSON.stringify(name)}`, 'NAME']
      : [`a store of this process on the path ${JSON.stringify(String(path))}`, 'PATH']
  return errorOf(
    `${OURS}${store} is open with another \`${differing}\`; all that open it have to give the same. Close the other one first; one that nobody holds any more goes by itself, a moment later`,
    `ERR_MEMORYSTORE_${kind}`,
  )
}

function errorOf(message, code) {
  const error = new Error(message)
  if (code !== undefined) error.code = code
  return error
}
