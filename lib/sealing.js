'use strict'

/**
 * Encryption of sessions that are kept elsewhere, by the option `encryptionKeys`: a serializer around
 * the store's own, which seals what that returns, each session for its sid.
 */

const { KeyObject } = require('node:crypto')
const { isUint8Array } = require('node:util/types')
const { parse, toBody } = require('./body.js')
const { kindOf } = require('./kinds.js')
const { createSealer } = require('./native/addon.js')

/** The length of a key in bytes. */
const KEY_LENGTH = 32

/** What `open` answers if it cannot; see src/node/sealer.rs. */
const OTHER_KEY = 1

/** How JSON of a session begins. Nothing that was sealed does. */
const BRACE = 0x7b

class Sealing {
  #native = {}

  /** @param {Uint8Array[]} keys the first of which seals */
  constructor(keys) {
    createSealer(this.#native, keys)
  }

  /** The `serializer` for one session; without a sid, for `forSid`. */
  serializerFor(serializer, sid) {
    return new SealedSerializer(this, serializer, sid)
  }

  seal(sid, body) {
    // An empty text is no session to the engines.
    if (body.length === 0) return body
    const sealed = this.#native.seal(sid.toWellFormed(), body, Number(Buffer.isBuffer(body)))
    if (sealed === undefined) throw keyError('the system has no random numbers to encrypt with')
    return sealed
  }

  /** The body that was sealed. What was stored before the option was given is as it is. */
  open(sid, stored) {
    if (!isSealed(stored)) return stored
    const opened = this.#native.open(sid.toWellFormed(), stored)
    if (typeof opened !== 'number') return opened
    throw keyError(
      opened === OTHER_KEY
        ? 'a stored session was encrypted with a key that is not among the option `encryptionKeys`; add that key behind the others'
        : 'a stored session is not what was encrypted under its sid: somebody has changed or moved it',
    )
  }
}

/** Text was never sealed, nor was JSON that a server gives as bytes. */
function isSealed(stored) {
  return typeof stored !== 'string' && stored.length > 0 && stored[0] !== BRACE
}

class SealedSerializer {
  #sealing
  #inner
  #sid

  constructor(sealing, inner, sid = '') {
    this.#sealing = sealing
    this.#inner = inner
    this.#sid = sid
  }

  forSid(sid) {
    return new SealedSerializer(this.#sealing, this.#inner, sid)
  }

  stringify(session) {
    return this.#sealing.seal(this.#sid, toBody(this.#inner.stringify(session)))
  }

  parse(stored) {
    return parse(this.#inner, this.#sealing.open(this.#sid, stored))
  }
}

/** The serializer for the session `sid`, where many are read. */
function forSid(serializer, sid) {
  return serializer instanceof SealedSerializer ? serializer.forSid(sid) : serializer
}

function keyError(message) {
  return Object.assign(new Error(`memorystore-rs: ${message}`), { code: 'ERR_MEMORYSTORE_KEY' })
}

/**
 * The keys that the option gives: one or a list, each as bytes, as a KeyObject, or as text in
 * hexadecimal digits or base64.
 *
 * @throws {TypeError} if one is no key. Its text is not in the message.
 */
function readKeys(given) {
  const list = Array.isArray(given) ? given : [given]
  if (list.length === 0) throw optionError('an empty list')
  return list.map((key) => {
    const bytes = bytesOf(key)
    if (bytes === undefined) throw optionError(kindOf(key))
    if (bytes.length !== KEY_LENGTH) throw optionError(`a key of ${bytes.length} bytes`)
    return bytes
  })
}

function bytesOf(key) {
  if (isUint8Array(key)) return key
  if (key instanceof KeyObject && key.type === 'secret') return key.export()
  if (typeof key !== 'string') return undefined
  if (/^[\da-f]{64}$/i.test(key)) return Buffer.from(key, 'hex')
  return /^[\w+/-]*={0,2}$/.test(key) ? Buffer.from(key, 'base64') : undefined
}

function optionError(what) {
  return new TypeError(
    `memorystore-rs: the option \`encryptionKeys\` is or has ${what}; it has to be a key or a list of keys of ${KEY_LENGTH} bytes: a Uint8Array, a KeyObject, or text in hexadecimal digits or base64`,
  )
}

module.exports = { Sealing, forSid, readKeys }
