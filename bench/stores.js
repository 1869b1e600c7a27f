'use strict'

/**
 * The stores that are measured, each opened the way its own documentation shows, and the floor:
 * what JSON.parse, JSON.stringify and a deferred callback cost without any store.
 */

const { existsSync, mkdtempSync, readFileSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { dirname, join } = require('node:path')
const {
  hasSqlite,
  openKeyv,
  openLmdb,
  openLruCache,
  openQuickLru,
  openSqlite,
} = require('./peers.js')

const OURS = 'memorystore-rs'

/** The same with its sessions in a file, which processes share. */
const PATH = 'memorystore-rs-path'

/** Which build of it: this one, unless `compare.js` names the folder of another. */
const BUILD = process.env.MEMORYSTORE_RS_BUILD ?? '..'
const REDIS = 'connect-redis'

/** The same on a client that makes no AbortSignal of each command, as node-redis 6 does by default. */
const REDIS_TUNED = 'connect-redis-tuned'

/** memorystore-rs with its sessions on the same server. */
const OURS_REDIS = 'memorystore-rs-redis'
const FLOOR = 'floor'

/** What one would write by hand. The first is the one to beat. */
const LRU_CACHE = 'lru-cache'
const SQLITE = 'node:sqlite'
const LMDB = 'lmdb'
const PEERS = [LRU_CACHE, 'quick-lru', 'keyv', SQLITE, LMDB]

/** For each store, the packages that it takes and how to open it. */
const STORES = {
  [OURS]: {
    packages: [],
    open: (options) => new (require(BUILD)(require('express-session')))(options),
  },
  [PATH]: {
    packages: [],
    open: openPath,
  },
  memorystore: {
    packages: ['memorystore'],
    open: (options) => new (require('memorystore')(require('express-session')))(options),
  },
  MemoryStore: {
    packages: ['express-session'],
    open: () => new (require('express-session').MemoryStore)(),
  },
  [LRU_CACHE]: {
    packages: ['lru-cache'],
    open: openLruCache,
  },
  'quick-lru': {
    packages: ['quick-lru'],
    open: openQuickLru,
  },
  keyv: {
    packages: ['keyv'],
    open: openKeyv,
  },
  [SQLITE]: {
    packages: [],
    open: openSqlite,
  },
  [LMDB]: {
    packages: ['lmdb'],
    open: openLmdb,
  },
  [REDIS]: {
    packages: ['connect-redis', 'redis'],
    open: openRedis,
  },
  [REDIS_TUNED]: {
    packages: ['connect-redis', 'redis'],
    open: (options, where) => openRedis(options, where, { commandOptions: { timeout: undefined } }),
  },
  [OURS_REDIS]: {
    packages: ['redis'],
    open: openOursOnRedis,
  },
  [FLOOR]: {
    packages: [],
    open: () => new Floor(),
  },
}

/** The stores that need a server. */
const ON_REDIS = [OURS_REDIS, REDIS, REDIS_TUNED]

/** The stores that need a folder. */
const ON_DISK = [PATH, LMDB]

/**
 * Opens the store called `name`. Returns the `store`, `stop()`, and for connect-redis also
 * `serverMemory()`, which asks for the resident bytes of its server.
 *
 * @param {{redisPort?: number, prefix?: string, path?: string, count?: number}} where the server's
 *   port and what its keys begin with, or the file's folder, for the stores that have one; how many
 *   sessions there will be, for those that want to know
 */
async function openStore(name, options = {}, where = {}) {
  const opened = await STORES[name].open(options, where)
  if (ON_REDIS.includes(name) || name === PATH) return opened
  return {
    store: opened,
    stop: async () => {
      opened.stopInterval?.()
      await opened.close?.(() => {})
    },
  }
}

async function openPath(options, { path }) {
  if (path === undefined) throw new Error('no path to keep the sessions in')
  const store = new (require(BUILD)(require('express-session')))({ ...options, path })
  return { store, stop: () => store.close() }
}

/** A new folder for the file, on the disk that `tmpdir` is on, and `remove()`, which is synchronous. */
function makeFolder() {
  const path = mkdtempSync(join(tmpdir(), 'bench-path-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 10 }) }
}

async function openRedis(_options, where, clientOptions) {
  const { RedisStore } = require('connect-redis')
  const client = await connectedClient(where, clientOptions)
  return {
    store: new RedisStore({ client, ...prefixOf(where) }),
    stop: async () => client.destroy(),
    serverMemory: async () => {
      const info = await client.info('memory')
      return Number(/used_memory_rss:(\d+)/.exec(info)[1])
    },
  }
}

async function openOursOnRedis(options, where) {
  const client = await connectedClient(where)
  const MemoryStore = require(BUILD)(require('express-session'))
  const store = new MemoryStore({ ...options, redis: client, ...prefixOf(where) })
  return {
    store,
    stop: async () => {
      await store.close()
      client.destroy()
    },
  }
}

async function connectedClient({ redisPort }, options = {}) {
  const { createClient } = require('redis')
  const client = createClient({ url: `redis://127.0.0.1:${redisPort}`, ...options })
  // A lost server makes the pending calls fail, which is what reports it.
  client.on('error', () => {})
  await client.connect()
  return client
}

function prefixOf({ prefix }) {
  return prefix === undefined ? {} : { prefix }
}

/** How many texts the floor reads in turn, so that it does not always parse the same one. */
const FLOOR_TEXTS = 1024

class Floor {
  #texts = []
  #next = 0

  get(_sid, fn) {
    const text = this.#texts[this.#next++ % this.#texts.length]
    setImmediate(fn, null, JSON.parse(text))
  }

  set(_sid, session, fn) {
    const text = JSON.stringify(session)
    if (this.#texts.length < FLOOR_TEXTS) this.#texts.push(text)
    setImmediate(fn, null)
  }

  touch(_sid, _session, fn) {
    setImmediate(fn, null)
  }

  destroy(_sid, fn) {
    setImmediate(fn, null)
  }
}

/** Why the store called `name` cannot be opened here; undefined where it can be. */
function reasonForAbsence(name) {
  if (name === SQLITE && !hasSqlite()) return 'this Node.js has no node:sqlite'
  const missing = STORES[name].packages.filter((each) => packageVersion(each) === undefined)
  return missing.length > 0 ? `${missing.join(' and ')} not installed` : undefined
}

/** The version of an installed package; undefined where there is none. */
function packageVersion(name) {
  let file
  try {
    file = require.resolve(name)
  } catch {
    return undefined
  }
  // Not every package lets its package.json be required.
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json')
    if (!existsSync(manifest)) continue
    const content = JSON.parse(readFileSync(manifest, 'utf8'))
    if (content.name === name) return content.version
  }
  return undefined
}

module.exports = {
  STORES,
  FLOOR,
  OURS,
  PATH,
  REDIS,
  REDIS_TUNED,
  OURS_REDIS,
  ON_REDIS,
  ON_DISK,
  LRU_CACHE,
  PEERS,
  openStore,
  connectedClient,
  makeFolder,
  packageVersion,
  reasonForAbsence,
}
