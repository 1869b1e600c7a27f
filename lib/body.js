'use strict'

/**
 * Sids and sessions as the native store takes and gives them: text and bytes.
 */

const { isSharedArrayBuffer, isUint8Array } = require('node:util/types')
const { PackedBody } = require('./native/builders.js')
const { kindOf } = require('./kinds.js')

module.exports = { bodyCopy, bodyKind, isSameBody, parse, toBody, toKey, toSerialized, toText }

// The kinds of a native body; see src/node/codes.rs.
const [TEXT, JSON_TEXT, BUFFER, BYTES] = [0, 1, 2, 3]

/** A sid as text; undefined if it cannot be one. */
function toKey(sid) {
  switch (typeof sid) {
    case 'string':
      return sid
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(sid)
    default:
      return undefined
  }
}

/** A result of the serializer, as the native store takes it. */
function toBody(data) {
  if (typeof data === 'string') return data
  if (isUint8Array(data)) {
    // Other threads could write to shared memory while the native store copies it.
    if (!isSharedArrayBuffer(data.buffer)) return data
    return Buffer.isBuffer(data) ? Buffer.from(data) : new Uint8Array(data)
  }
  throw new TypeError(
    `memorystore-rs: serializer.stringify returned ${kindOf(data)}; it has to return a string, a Buffer or a Uint8Array`,
  )
}

/** The kind of `data`, a result of the serializer, for the native store. */
function bodyKind(serializer, data) {
  if (typeof data === 'string') return serializer === JSON ? JSON_TEXT : TEXT
  return Buffer.isBuffer(data) ? BUFFER : BYTES
}

/** What the native store gives back, as the serializer had returned it. */
function toSerialized(data) {
  return typeof data === 'string' || Buffer.isBuffer(data) ? data : new Uint8Array(data)
}

/** Parses what the native store gave back. */
function parse(serializer, data) {
  if (data instanceof PackedBody) return data.session()
  if (serializer !== JSON) return serializer.parse(toSerialized(data))
  try {
    return JSON.parse(toSerialized(data))
  } catch {
    // V8's message quotes the text, which is somebody's session.
    throw new SyntaxError('memorystore-rs: a stored session is not valid JSON')
  }
}

/** A result of the serializer to keep: bytes may lie in a buffer that the serializer uses again. */
function bodyCopy(body) {
  if (typeof body === 'string') return body
  return Buffer.isBuffer(body) ? Buffer.from(body) : new Uint8Array(body)
}

/** A body as the serializer returned it. */
function toText(body) {
  return body instanceof PackedBody ? body.text() : body
}

function isSameBody(one, other) {
  if (typeof one === 'string' || typeof other === 'string') return one === other
  return Buffer.compare(toSerialized(one), toSerialized(other)) === 0
}
