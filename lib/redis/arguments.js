'use strict'

/** What scripts and commands are given: all arguments are text or bytes. */

const { TOLERANCE } = require('../remote/rules.js')

/** The longest lifetime that is stored: Redis refuses what its clock cannot add. */
const LONGEST_LIFE = 8.64e15

/** A lifetime that is over. */
const EXPIRED = '0'

/** A lifetime as scripts take it. */
function pxOf(life) {
  if (life > LONGEST_LIFE) return ''
  return life > 0 ? String(Math.ceil(life)) : EXPIRED
}

/**
 * For how long a copy is expected to live at most, as scripts take it: give or take what the server
 * and the network need. Empty for ever.
 */
function leftOf({ expiresAt }, now) {
  return expiresAt === Infinity ? '' : String(Math.ceil(expiresAt - now) + TOLERANCE)
}

/** Bytes as the client libraries take them. */
function asArgument(body) {
  if (typeof body === 'string' || Buffer.isBuffer(body)) return body
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}

function flag(value) {
  return value ? '1' : '0'
}

/** The arguments of the scripts that write a session in place of another one. */
function argumentsOfWrite(expected, body, life, how, now) {
  const { readAt, isOthers, isForced, isFinal, isLongest } = how
  return [
    asArgument(expected.body),
    asArgument(body),
    pxOf(life),
    (now - readAt).toFixed(3),
    flag(now >= expected.expiresAt),
    flag(isForced),
    flag(isFinal),
    flag(isOthers),
    isLongest ? '' : leftOf(expected, now),
  ]
}

module.exports = { EXPIRED, argumentsOfWrite, asArgument, flag, leftOf, pxOf }
