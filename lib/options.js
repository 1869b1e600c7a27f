'use strict'

/**
 * Reads the options of a MemoryStore.
 *
 * Values that make no sense act as they do in memorystore 1.6.8, which mostly means that they
 * are ignored; a process warning names each of them.
 */

module.exports = { kindOf, readOptions }

const MILLISECONDS = 'a positive number of milliseconds'

/** For each option, what is wrong with a value, if anything is. */
const CHECKS = {
  checkPeriod: (value) => {
    if (typeof value === 'number' && (value >= 1 || value === 0)) return undefined
    if (value > 0 && value < 1) return `${MILLISECONDS}; less than 1 acts as 1`
    return value === false ? undefined : `${MILLISECONDS}; expired sessions are not pruned`
  },
  max: (value) => {
    if (value === false || value === Infinity || (Number.isInteger(value) && value > 0)) {
      return undefined
    }
    if (value > 0 && typeof value === 'number') {
      return `a positive whole number; it acts as ${Math.floor(value)}`
    }
    return 'a positive whole number; there is no limit'
  },
  maxBytes: (value) => {
    if (value === false || (typeof value === 'number' && value >= 1)) return undefined
    if (value > 0 && value < 1) return 'a positive number of bytes; nothing fits'
    return 'a positive number of bytes; there is no limit'
  },
  ttl: (value) => {
    if (typeof value === 'function' || value === false) return undefined
    if (typeof value !== 'number') {
      const effect = value ? 'set() and touch() will throw' : 'it is ignored'
      return `${MILLISECONDS} or a function; ${effect}`
    }
    if (value >= 0) return undefined
    const effect = value < 0 ? 'expire at once' : 'never expire'
    return `${MILLISECONDS} or a function; sessions ${effect}`
  },
  dispose: (value) => {
    if (typeof value === 'function' || value === false) return undefined
    return value
      ? 'a function; calling it will throw when a session is removed'
      : 'a function; it is ignored'
  },
  stale: checkBoolean,
  conflict: checkOneOf(['merge', 'overwrite']),
  destroyed: checkOneOf(['forgotten', 'final']),
  // What is wrong with it is an error; see nativeOptions.
  name: () => undefined,
  touchAfter: (value, { ttl }) => {
    if (typeof ttl === 'number' && ttl > 0 && value >= ttl) {
      return 'well below the `ttl`; sessions in use expire'
    }
    if (value === false || (typeof value === 'number' && value >= 0)) return undefined
    return 'a number of milliseconds; every touch is done'
  },
  noDisposeOnSet: checkBoolean,
  serializer: (value) => {
    if (typeof value?.stringify === 'function' && typeof value.parse === 'function') {
      return undefined
    }
    if (value === false) return undefined
    return value
      ? 'an object with the methods stringify and parse; calling them will fail'
      : 'an object with the methods stringify and parse; JSON is used'
  },
}

/**
 * Returns the `values` that become `store.options`, and the options as the `native` store takes
 * them.
 *
 * @throws {TypeError} where `options` is null, or `name` is no name
 */
function readOptions(options) {
  if (options === null) {
    throw new TypeError(
      'memorystore-rs: the options are null; pass an object, a checkPeriod in milliseconds, or nothing',
    )
  }
  const given = typeof options === 'number' ? { checkPeriod: options } : options
  warnOfNonsense(given)

  const values = {
    checkPeriod: given.checkPeriod,
    max: given.max ?? Infinity,
    ttl: given.ttl,
    dispose: given.dispose,
    stale: given.stale,
    noDisposeOnSet: given.noDisposeOnSet,
  }
  // What memorystore does not know is there only if it was given.
  for (const name of ['maxBytes', 'conflict', 'destroyed', 'touchAfter', 'name']) {
    if (given[name] !== undefined) values[name] = given[name]
  }
  return { values, native: nativeOptions(values) }
}

/** The options as the native store takes them. */
function nativeOptions(values) {
  const { name, touchAfter } = values
  // Sessions that were meant to be shared must not silently be each thread's own.
  if (name !== undefined && (typeof name !== 'string' || name === '' || !name.isWellFormed())) {
    const kind =
      typeof name === 'string' ? (name === '' ? 'empty' : 'not well-formed') : kindOf(name)
    throw new TypeError(
      `memorystore-rs: the option \`name\` is ${kind}; it has to be a string that is not empty`,
    )
  }
  return {
    max: limit(values.max),
    maxBytes: limit(values.maxBytes),
    stale: Boolean(values.stale),
    dispose: Boolean(values.dispose),
    noDisposeOnSet: Boolean(values.noDisposeOnSet),
    isFinal: values.destroyed === 'final',
    touchAfter: typeof touchAfter === 'number' && touchAfter > 0 ? touchAfter : 0,
    name,
  }
}

function limit(value) {
  return typeof value === 'number' && value > 0 ? Math.floor(value) : Infinity
}

function warnOfNonsense(given) {
  for (const [name, check] of Object.entries(CHECKS)) {
    const value = given[name]
    if (value === undefined || value === null) continue
    const expected = check(value, given)
    if (expected === undefined) continue
    warn(`the option \`${name}\` is ${describe(value)}, but should be ${expected}`)
  }
  if (typeof given !== 'object') return
  for (const name of Object.keys(given)) {
    const meant = Object.keys(CHECKS).find((known) => known.toLowerCase() === name.toLowerCase())
    if (meant !== undefined && meant !== name) {
      warn(`the option \`${name}\` is not known and is ignored; did you mean \`${meant}\`?`)
    }
  }
}

function warn(message) {
  process.emitWarning(`memorystore-rs: ${message}`, {
    type: 'MemoryStoreWarning',
    code: 'MEMORYSTORE_OPTION',
  })
}

function checkBoolean(value) {
  if (typeof value === 'boolean') return undefined
  return `a boolean; it acts as ${Boolean(value)}`
}

/** For an option that is one of `words`, the first by default. */
function checkOneOf(words) {
  const [byDefault] = words
  const list = words.map((word) => `'${word}'`).join(' or ')
  return (value) => (words.includes(value) ? undefined : `${list}; it acts as '${byDefault}'`)
}

/** A number as it is, anything else by its type. */
function describe(value) {
  return typeof value === 'number' ? String(value) : kindOf(value)
}

/** Names a value's type for a message, never the value. */
function kindOf(value) {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
