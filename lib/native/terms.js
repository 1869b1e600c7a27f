'use strict'

/**
 * What the native store has to be told of a session that is written, because only JavaScript can
 * call a function of the options, or look into a session that is not JSON.
 */

const { lifetimeOf, mostOf } = require('../users.js')

module.exports = { termsReader }

/**
 * Makes a function that gives the last arguments of a native write: the user, how many sessions
 * the user may have, and the lifetime. Undefined if the native store knows all of it by itself.
 */
function termsReader({ options, ownerOf }) {
  const { user, maxPerUser, lifetime } = options
  if (user === undefined && lifetime === undefined) return undefined
  const hasFunction = [user, maxPerUser, lifetime].some((option) => typeof option === 'function')
  // A path is followed by the native store, if the session is JSON. It is followed here too until
  // it has led to a user, because only JavaScript can warn if it leads to an object.
  let isProven = ownerOf === undefined
  return (session, key, serializer) => {
    const isKnown = serializer === JSON && !hasFunction
    if (isKnown && isProven) return NOTHING
    const owner = ownerOf?.(session)
    isProven ||= owner !== undefined
    if (isKnown) return NOTHING
    const most = owner === undefined ? Infinity : mostOf(options, owner, session)
    return [owner, most, lifetimeOf(options, session, key)]
  }
}

const NOTHING = [undefined, undefined, undefined]
