'use strict'

/**
 * Stores as one would write them by hand on what is at hand: caches, and databases that run in the
 * process. Each keeps the sessions as JSON, lets them expire by itself, calls back in a later turn of
 * the event loop, and moves only the expiry at a touch, in the cheapest way that its package offers.
 * The cookie that a later get returns is the one of the last set.
 */

const { ONE_DAY } = require('./sessions.js')

module.exports = { openLruCache, openQuickLru, openKeyv, openSqlite, openLmdb, hasSqlite }

/** How many more sessions than it is filled with a cache has room for: those of an operation. */
const ROOM = 50_000

/** Caches that are never full, as no other store here is either, but where a limit is asked for. */
function limitOf({ count, counts }, max = (count ?? counts.at(-1)) + ROOM) {
  return max
}

/** What all of them share; `read`, `write`, `renew` and `remove` are synchronous. */
class HandWritten {
  get(sid, fn) {
    const text = this.read(sid)
    setImmediate(fn, null, text === undefined ? undefined : JSON.parse(text))
  }

  set(sid, session, fn) {
    this.write(sid, JSON.stringify(session))
    setImmediate(fn, null)
  }

  touch(sid, session, fn) {
    this.renew(sid)
    setImmediate(fn, null)
  }

  destroy(sid, fn) {
    this.remove(sid)
    setImmediate(fn, null)
  }
}

class LruCacheStore extends HandWritten {
  constructor(max) {
    super()
    const { LRUCache } = require('lru-cache')
    this.cache = new LRUCache({ max, ttl: ONE_DAY })
  }

  read(sid) {
    return this.cache.get(sid)
  }

  write(sid, text) {
    this.cache.set(sid, text)
  }

  renew(sid) {
    this.cache.has(sid, { updateAgeOnHas: true })
  }

  remove(sid) {
    this.cache.delete(sid)
  }
}

function openLruCache({ max }, where) {
  return new LruCacheStore(limitOf(where, max))
}

class QuickLruStore extends HandWritten {
  constructor(QuickLRU, maxSize) {
    super()
    this.cache = new QuickLRU({ maxSize, maxAge: ONE_DAY })
  }

  read(sid) {
    return this.cache.get(sid)
  }

  write(sid, text) {
    this.cache.set(sid, text)
  }

  renew(sid) {
    const text = this.cache.peek(sid)
    if (text !== undefined) this.cache.set(sid, text)
  }

  remove(sid) {
    this.cache.delete(sid)
  }
}

async function openQuickLru(_options, where) {
  const { default: QuickLRU } = await import('quick-lru')
  return new QuickLruStore(QuickLRU, limitOf(where))
}

/** Its methods return promises, so that there is no need to put the callbacks off. */
class KeyvStore {
  constructor() {
    const { Keyv } = require('keyv')
    this.keyv = new Keyv({ ttl: ONE_DAY })
  }

  get(sid, fn) {
    this.keyv
      .get(sid)
      .then((text) => fn(null, text === undefined ? undefined : JSON.parse(text)), fn)
  }

  set(sid, session, fn) {
    this.keyv.set(sid, JSON.stringify(session)).then(() => fn(null), fn)
  }

  touch(sid, session, fn) {
    this.#renew(sid).then(() => fn(null), fn)
  }

  destroy(sid, fn) {
    this.keyv.delete(sid).then(() => fn(null), fn)
  }

  async #renew(sid) {
    const text = await this.keyv.get(sid)
    if (text !== undefined) await this.keyv.set(sid, text)
  }
}

function openKeyv() {
  return new KeyvStore()
}

class SqliteStore extends HandWritten {
  constructor() {
    super()
    const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(':memory:')
    database.exec(
      'CREATE TABLE sessions (sid TEXT PRIMARY KEY, text TEXT, expires INTEGER) WITHOUT ROWID',
    )
    this.selected = database.prepare('SELECT text FROM sessions WHERE sid = ? AND expires > ?')
    this.replaced = database.prepare('REPLACE INTO sessions VALUES (?, ?, ?)')
    this.renewed = database.prepare('UPDATE sessions SET expires = ? WHERE sid = ?')
    this.deleted = database.prepare('DELETE FROM sessions WHERE sid = ?')
  }

  read(sid) {
    return this.selected.get(sid, Date.now())?.text
  }

  write(sid, text) {
    this.replaced.run(sid, text, Date.now() + ONE_DAY)
  }

  renew(sid) {
    this.renewed.run(Date.now() + ONE_DAY, sid)
  }

  remove(sid) {
    this.deleted.run(sid)
  }
}

function openSqlite() {
  return new SqliteStore()
}

/** Node.js has it from 22.5 on, and without a flag from 22.13 on. */
function hasSqlite() {
  return require('node:module').isBuiltin('node:sqlite')
}

/** How many characters of a value are its expiry, in milliseconds. */
const EXPIRY = 13

/**
 * Writes are done when they are committed; lmdb commits those of one turn together. It does not wait
 * for the disk, as nothing else here does.
 */
class LmdbStore {
  constructor(path) {
    this.database = require('lmdb').open({ path, encoding: 'string', noSync: true })
  }

  get(sid, fn) {
    const value = this.database.get(sid)
    const isAlive = value !== undefined && Number(value.slice(0, EXPIRY)) > Date.now()
    setImmediate(fn, null, isAlive ? JSON.parse(value.slice(EXPIRY)) : undefined)
  }

  set(sid, session, fn) {
    this.#write(sid, JSON.stringify(session)).then(() => fn(null), fn)
  }

  touch(sid, session, fn) {
    const value = this.database.get(sid)
    if (value === undefined) setImmediate(fn, null)
    else this.#write(sid, value.slice(EXPIRY)).then(() => fn(null), fn)
  }

  destroy(sid, fn) {
    this.database.remove(sid).then(() => fn(null), fn)
  }

  close() {
    return this.database.close()
  }

  #write(sid, text) {
    return this.database.put(sid, Date.now() + ONE_DAY + text)
  }
}

function openLmdb(_options, { path }) {
  return new LmdbStore(path)
}
