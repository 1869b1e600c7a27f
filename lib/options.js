'use strict'

const { join, resolve } = require('node:path')
const { URL, fileURLToPath } = require('node:url')
const { describe, kindOf } = require('./kinds.js')
const { readKeys } = require('./sealing.js')
const { assertUserOptions, nativeUserOptions } = require('./user-options.js')
const { warn } = require('./warnings.js')

/**
 * Reads the options of a MemoryStore.
 *
 * Values that make no sense act as they do in memorystore 1.6.8, which mostly means that they
 * are ignored; a process warning names each of them.
 */

module.exports = { kindOf, readOptions, warnOfOption }

/** The default and the least size of the file of a path. */
const MAP_SIZE = 4 * 1024 ** 3
const LEAST_MAP_SIZE = 1024 ** 2

/** The folder within that of a path for a file with hashed sids. */
const HASHED = 'hashed-sids'

/** How often changes to that file are written to the disk, in milliseconds. */
const SYNC_PERIOD = 1000

/** How long a call waits for the answer of a server, in milliseconds. */
const TIMEOUT = 5000

/** How long what was read is served if the server says nothing, in milliseconds. */
const MAX_STALE = 1000

/** What a near-cache holds at most if no limit is given, in bytes. */
const NEAR_CACHE_BYTES = 64 * 1024 ** 2

/** What connect-redis puts before a sid. */
const PREFIX = 'sess:'

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
  ttl: (value, { backing }) => {
    if (isGiven(backing)) return WITH_BACKING
    if (typeof value === 'function' || value === false) return undefined
    if (typeof value !== 'number') {
      const effect = value ? 'set() and touch() will fail' : 'it is ignored'
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
  conflict: (value) => {
    return typeof value === 'function' ? undefined : checkConflict(value)
  },
  destroyed: checkOneOf(['forgotten', 'final']),
  // What is wrong with these is an error; see nativeOptions.
  name: () => undefined,
  path: () => undefined,
  mapSize: (_value, { path }) => (isGiven(path) ? undefined : WITHOUT_PATH),
  syncPeriod: (value, { path }) => {
    if (!isGiven(path)) return WITHOUT_PATH
    if (value === false || (value >= 0 && Number.isFinite(value))) return undefined
    return `a number of milliseconds, or 0; it acts as ${SYNC_PERIOD}`
  },
  touchAfter: (value, { ttl }) => {
    if (typeof ttl === 'number' && ttl > 0 && value >= ttl) {
      return 'well below the `ttl`; sessions in use expire'
    }
    if (value === false || (typeof value === 'number' && value >= 0)) return undefined
    return 'a number of milliseconds; every touch is done'
  },
  isActivity: (value) => {
    if (typeof value === 'function' || value === false) return undefined
    return 'a function; every touch is done'
  },
  noDisposeOnSet: checkBoolean,
  // What is wrong with `user`, `lifetime` and `maxPerUser` is an error; see assertUserOptions.
  user: () => undefined,
  lifetime: (value, { stale }) => {
    if (value <= 0) return `${MILLISECONDS} or a function; sessions expire at once`
    if (stale) return 'given without `stale`, which reads a session once more that is over'
    return undefined
  },
  maxPerUser: () => undefined,
  // And with these; see assertHashSids and keysOf.
  hashSids: () => undefined,
  encryptionKeys: () => undefined,
  whenFull: (value, { maxPerUser }) => {
    return isGiven(maxPerUser) ? checkWhenFull(value) : WITHOUT_MAX_PER_USER
  },
  anonymousFirst: (value, { user, redis }) => {
    if (!isGiven(user)) return WITHOUT_USER
    return isGiven(redis) ? WITH_REDIS : checkBoolean(value)
  },
  redis: () => undefined,
  backing: () => undefined,
  prefix: (_value, { redis }) => (isGiven(redis) ? undefined : WITHOUT_REDIS),
  timeout: checkOfRemote((value) => value > 0, `${MILLISECONDS}; it acts as ${TIMEOUT}`),
  maxStale: checkOfRemote(
    (value) => value >= 0,
    `a number of milliseconds, or 0; it acts as ${MAX_STALE}`,
  ),
  staleIfError: checkOfRemote(
    (value) => value >= 0,
    'a number of milliseconds, or 0; it acts as 0',
  ),
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

const checkConflict = checkOneOf(['merge', 'overwrite'], 'a function')

const checkWhenFull = checkOneOf(['end', 'refuse'])

/** What the option `whenFull` should be if there is no limit. */
const WITHOUT_MAX_PER_USER = 'given together with `maxPerUser` only; it is ignored'

/** What the option `anonymousFirst` should be if nobody knows whose sessions are. */
const WITHOUT_USER = 'given together with `user` only; it is ignored'

/** And if a server keeps the sessions: then that evicts. */
const WITH_REDIS = 'given without `redis` only, because the server evicts; it is ignored'

/** What the option `ttl` should be if another store keeps the sessions, and knows when they end. */
const WITH_BACKING = 'given to the store that is the `backing`; it is ignored'

/** What an option that only stores on Redis use should be. */
const WITHOUT_REDIS = 'given together with `redis` only; it is ignored'

/** What an option that only stores on Redis or on another store use should be. */
const WITHOUT_REMOTE = 'given together with `redis` or `backing` only; it is ignored'

/** What an option that only stores on a path use should be. */
const WITHOUT_PATH = 'given together with `path` only; it is ignored'

/**
 * Returns the `values` that become `store.options`, the `keys` to encrypt with, which do not, and
 * what the engine takes: the options of the `native` store and the `syncPeriod` in milliseconds, 0 if
 * there is none, or those of one on `redis` or on a `backing`.
 *
 * @throws {TypeError} if `options` is null, or `name`, `path`, `mapSize`, `redis`, `prefix`,
 *   `backing`, `user`, `lifetime`, `maxPerUser`, `hashSids` or `encryptionKeys` cannot be used
 * @throws {RangeError} if `mapSize` is too small
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
  // The options that memorystore does not know are there only if they were given.
  for (const name of BEYOND_MEMORYSTORE) {
    if (given[name] !== undefined) values[name] = given[name]
  }
  assertUserOptions(values)
  assertHashSids(values)
  const keys = keysOf(given, values)
  if (values.backing !== undefined) {
    values.ttl = undefined
    return { values, backing: backingOptions(values) }
  }
  if (values.redis !== undefined) return { values, keys, redis: redisOptions(values) }
  return { values, keys, native: nativeOptions(values), syncPeriod: syncPeriodOf(values) }
}

/** The options that memorystore does not know. */
const BEYOND_MEMORYSTORE = [
  'maxBytes',
  'conflict',
  'destroyed',
  'touchAfter',
  'isActivity',
  'name',
  'path',
  'mapSize',
  'syncPeriod',
  'user',
  'lifetime',
  'maxPerUser',
  'whenFull',
  'anonymousFirst',
  'hashSids',
  'redis',
  'backing',
  'prefix',
  'timeout',
  'maxStale',
  'staleIfError',
]

/** The options of a store on Redis. */
function redisOptions(values) {
  assertAlone('redis', values, 'all stores with the same Redis and `prefix` already share')
  const { prefix = PREFIX } = values
  if (typeof prefix !== 'string') {
    throw new TypeError(
      `memorystore-rs: the option \`prefix\` is ${kindOf(prefix)}; it has to be a string`,
    )
  }
  return { prefix, ...remoteOptions(values) }
}

/** The options of a store on another express-session store. */
function backingOptions(values) {
  const { backing, destroyed } = values
  assertAlone('backing', values, 'all stores on the same backing already share')
  if (values.redis !== undefined) {
    throw new TypeError(
      'memorystore-rs: the options `backing` and `redis` cannot be combined; `redis` alone is the stronger one',
    )
  }
  assertStore(backing)
  return { isFinal: destroyed === 'final', ...remoteOptions(values) }
}

function assertAlone(option, values, reason) {
  for (const other of ['path', 'name']) {
    if (values[other] === undefined) continue
    throw new TypeError(
      `memorystore-rs: the options \`${option}\` and \`${other}\` cannot be combined; ${reason} their sessions`,
    )
  }
}

/** The methods that each store of express-session has. */
const METHODS = ['get', 'set', 'destroy']

function assertStore(backing) {
  const isStore = METHODS.every((name) => typeof backing?.[name] === 'function')
  // A client of node-redis has these methods too: `destroy` closes it.
  const isClient = typeof backing?.sendCommand === 'function'
  if (isStore && !isClient) return
  const [kind, call] = isClient
    ? ['a client of Redis', '{ redis: client }']
    : [kindOf(backing), "{ backing: new (require('connect-pg-simple')(session))({ pool }) }"]
  throw new TypeError(
    `memorystore-rs: the option \`backing\` is ${kind}; it has to be an express-session store, an object with the methods get, set and destroy: new MemoryStore(${call})`,
  )
}

/** The options that the stores behind a network share. */
function remoteOptions(values) {
  const { touchAfter } = values
  const [max, maxBytes] = [limit(values.max), limit(values.maxBytes)]
  const isLimited = max !== Infinity || maxBytes !== Infinity
  return {
    timeout: millisecondsOf(values.timeout, 1, TIMEOUT),
    maxStale: millisecondsOf(values.maxStale, 0, MAX_STALE),
    staleIfError: millisecondsOf(values.staleIfError, 0, 0),
    touchAfter: touchAfter === undefined ? undefined : millisecondsOf(touchAfter, 0, 0),
    limits: { max, maxBytes: isLimited ? maxBytes : NEAR_CACHE_BYTES },
  }
}

function millisecondsOf(value, least, byDefault) {
  if (value === false) return least
  return Number.isFinite(value) && value >= 0 ? Math.max(least, value) : byDefault
}

/** The options as the native store takes them. */
function nativeOptions(values) {
  const { name, path, touchAfter } = values
  // Sessions that were meant to be shared must not silently be each thread's own.
  if (name !== undefined) assertText('name', name)
  if (name !== undefined && path !== undefined) {
    throw new TypeError(
      'memorystore-rs: the options `name` and `path` cannot be combined; all stores with the same `path` already share their sessions',
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
    ...nativeUserOptions(values),
    hashesSids: Boolean(values.hashSids),
    name,
    path: path === undefined ? undefined : fileFolderOf(values),
    mapSize: mapSizeOf(values),
  }
}

/** The keys to encrypt sessions with; undefined if they are not to be encrypted. */
function keysOf({ encryptionKeys }, { path, redis }) {
  if (encryptionKeys === undefined) return undefined
  const keys = readKeys(encryptionKeys)
  if (path !== undefined || redis !== undefined) return keys
  throw new TypeError(
    'memorystore-rs: the option `encryptionKeys` needs the option `path` or `redis`; what is in memory is not encrypted',
  )
}

/** Sids that were meant to be hashed must not silently be stored as they are. */
function assertHashSids({ hashSids }) {
  if (hashSids === undefined || typeof hashSids === 'boolean') return
  throw new TypeError(
    `memorystore-rs: the option \`hashSids\` is ${describe(hashSids)}; it has to be a boolean`,
  )
}

function assertText(option, value) {
  if (typeof value === 'string' && value !== '' && value.isWellFormed() && !value.includes('\0')) {
    return
  }
  let kind = kindOf(value)
  if (typeof value === 'string') kind = value === '' ? 'empty' : 'not well-formed'
  throw new TypeError(
    `memorystore-rs: the option \`${option}\` is ${kind}; it has to be a string that is not empty`,
  )
}

/** The folder that the option `path` names: a path, or a `file:` URL. */
function folderOf(path) {
  const isUrl = path instanceof URL || (typeof path === 'string' && path.startsWith('file://'))
  const folder = isUrl ? fileURLToPath(path) : path
  assertText('path', folder)
  return resolve(folder)
}

/**
 * The folder with the file. A file with hashed sids has one of its own: to a store that does not hash
 * them, what is stored there would be sids.
 */
function fileFolderOf({ path, hashSids }) {
  return hashSids ? join(folderOf(path), HASHED) : folderOf(path)
}

function mapSizeOf({ path, mapSize }) {
  if (path === undefined || mapSize === undefined) return MAP_SIZE
  const expected = `it has to be a whole number of bytes, ${LEAST_MAP_SIZE} or more`
  if (!Number.isSafeInteger(mapSize)) {
    throw new TypeError(
      `memorystore-rs: the option \`mapSize\` is ${describe(mapSize)}; ${expected}`,
    )
  }
  if (mapSize < LEAST_MAP_SIZE) {
    throw new RangeError(`memorystore-rs: the option \`mapSize\` is ${mapSize}; ${expected}`)
  }
  return mapSize
}

function syncPeriodOf({ path, syncPeriod }) {
  if (path === undefined || syncPeriod === false) return 0
  return syncPeriod >= 0 && Number.isFinite(syncPeriod) ? syncPeriod : SYNC_PERIOD
}

function limit(value) {
  return typeof value === 'number' && value > 0 ? Math.floor(value) : Infinity
}

function isGiven(value) {
  return value !== undefined && value !== null
}

function warnOfNonsense(given) {
  for (const [name, check] of Object.entries(CHECKS)) {
    const value = given[name]
    if (value === undefined || value === null) continue
    const expected = check(value, given)
    if (expected === undefined) continue
    warnOfOption(`the option \`${name}\` is ${describe(value)}, but should be ${expected}`)
  }
  if (typeof given !== 'object') return
  for (const name of Object.keys(given)) {
    const meant = Object.keys(CHECKS).find((known) => known.toLowerCase() === name.toLowerCase())
    if (meant !== undefined && meant !== name) {
      warnOfOption(`the option \`${name}\` is not known and is ignored; did you mean \`${meant}\`?`)
    }
  }
}

function warnOfOption(message) {
  warn('MEMORYSTORE_OPTION', message)
}

function checkBoolean(value) {
  if (typeof value === 'boolean') return undefined
  return `a boolean; it acts as ${Boolean(value)}`
}

/** A check for an option that is one of `words`, the first by default, or is `other`. */
function checkOneOf(words, ...other) {
  const [byDefault] = words
  const list = [...words.map((word) => `'${word}'`), ...other].join(' or ')
  return (value) => (words.includes(value) ? undefined : `${list}; it acts as '${byDefault}'`)
}

/** A check for a number of milliseconds that only stores on a server use. */
function checkOfRemote(isRight, expected) {
  return (value, { redis, backing }) => {
    if (!isGiven(redis) && !isGiven(backing)) return WITHOUT_REMOTE
    if (value === false) return undefined
    return Number.isFinite(value) && isRight(value) ? undefined : expected
  }
}
