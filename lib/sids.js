'use strict'

/**
 * The keys under which sessions are stored: their sids, or with the option `hashSids` what names
 * them where nobody must be able to make a cookie of it.
 */

const crypto = require('node:crypto')
const { toKey } = require('./body.js')

module.exports = { keyReaders }

/** How the name of a session begins. */
const MARK = 'h1:'

/**
 * How many characters of the hash follow, in base64url: 168 bits. With these, a name takes no more
 * room than a sid of express-session.
 */
const LENGTH = 28

const IS_NAME = new RegExp(`^${MARK}[\\w-]{${LENGTH}}$`)

/**
 * Returns `keyOf`, which gives the key of a sid, and `keyOfNamed`, which also takes a key that was
 * listed. Both give undefined for what cannot be a sid.
 */
function keyReaders(hashSids) {
  if (!hashSids) return { keyOf: toKey, keyOfNamed: toKey }
  return {
    keyOf: (sid) => hashed(toKey(sid)),
    keyOfNamed: (sid) => (isName(sid) ? sid : hashed(toKey(sid))),
  }
}

function isName(sid) {
  return typeof sid === 'string' && IS_NAME.test(sid)
}

/** A sid has so many random bits that no key or salt is needed. */
function hashed(sid) {
  if (sid === undefined) return undefined
  return MARK + sha256(sid.isWellFormed() ? sid : bytesOf(sid)).slice(0, LENGTH)
}

/** Text that has no UTF-8, as bytes that no other text has. */
function bytesOf(text) {
  return Buffer.concat([Buffer.of(0xff), Buffer.from(text, 'utf16le')])
}

// Since Node.js 20.12 in one call, which takes a third of the time.
const sha256 = crypto.hash
  ? (data) => crypto.hash('sha256', data, 'base64url')
  : (data) => crypto.createHash('sha256').update(data).digest('base64url')
