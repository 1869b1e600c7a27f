'use strict'

/**
 * The engine of a store whose sessions are behind a network: applies the rules of the store to
 * records that answer later, and delivers the results.
 *
 * It decides what to write and what to touch; a record (see lib/redis/records.js) decides in one
 * step whether what is stored is still what was read.
 */

// Captured at load time, so fake timers do not affect delivery.
const { setImmediate } = require('node:timers')
const { bodyCopy, isSameBody, parse, toBody, toSerialized } = require('../body.js')
const { merged, renewal, ttlOfMerge, withCookie } = require('../conflict.js')
const { done, later } = require('../deliver.js')
const { debug, tag } = require('../log.js')
const { isRenewal } = require('../merge.js')
const { every } = require('../timer.js')
const { monotonic } = require('./clock.js')
const { Counters } = require('./counters.js')
const { Deadlines } = require('./deadlines.js')
const { Turns } = require('./turns.js')

/** How far the stored expiry may differ from the cookie's, in milliseconds, to be told as it is. */
const TOLERANCE = 1000

/** After so many attempts, each beaten by another write, what is stored is overwritten. */
const MAX_ATTEMPTS = 100

/** How many sessions are asked for at once. */
const READS_AT_ONCE = 200

/** By default, touches that extend a session by less than this part of its life are left out. */
const TOUCH_PART = 20

/** The most milliseconds by which such a touch would extend it. */
const MOST_TOUCH_AFTER = 60 * 1000

class RemoteEngine {
  #state
  #records
  #deadlines
  #turns = new Turns()
  #counters = new Counters()
  #touchAfter
  #stopPruning = () => {}

  /**
   * @param timeout after which a call without an answer fails, in milliseconds
   * @param touchAfter in milliseconds; undefined for what suits the lifetime of each session
   */
  constructor(state, records, { timeout, touchAfter }) {
    this.#state = state
    this.#records = records
    this.#deadlines = new Deadlines(timeout)
    this.#touchAfter = touchAfter
  }

  /**
   * Looks up in a later phase of the event loop, when all that the server has told by then was
   * heard. So a request never misses a change that was answered before it came, even if the loop
   * was held up in between.
   */
  get(key, serializer, fn) {
    if (typeof fn === 'function') {
      setImmediate(serve, this, key, serializer, fn)
      return undefined
    }
    const promise = new Promise((resolve, reject) => {
      setImmediate(serve, this, key, serializer, (err, session) => {
        if (err) reject(err)
        else resolve(session)
      })
    })
    promise.catch(() => {})
    return promise
  }

  serve(key, serializer, fn) {
    let copy
    try {
      copy = this.#records.cached(key)
    } catch (err) {
      return fn(err)
    }
    if (copy === undefined) return this.#load(key, serializer, fn)
    this.#counters.cacheHits++
    return this.deliver(copy, key, serializer, fn)
  }

  #load(key, serializer, fn) {
    this.#counters.cacheMisses++
    this.#deadlines
      .run('get', () => this.#records.load(key))
      .catch((err) => this.#staleOr(err, key))
      .then(
        // Outside of the promise, so that what the callback throws is an uncaught exception.
        (copy) => setImmediate(deliver, this, copy, key, serializer, fn),
        (err) => setImmediate(fn, err),
      )
  }

  /** Gives the callback the session of a copy. */
  deliver(copy, key, serializer, fn) {
    if (copy === undefined || copy.body.length === 0) {
      this.#counters.misses++
      return fn()
    }
    this.#counters.hits++
    let session
    try {
      session = this.#sessionOf(copy, key, serializer)
    } catch (err) {
      return fn(err, undefined)
    }
    return fn(null, session)
  }

  #staleOr(err, key) {
    const copy = this.#records.stale(key)
    if (copy === undefined) throw err
    return copy
  }

  /** The session of a copy. It remembers what was read, for the writes of its request. */
  #sessionOf(copy, key, serializer) {
    const session = this.#parse(copy, serializer)
    copy.cookie = session?.cookie
    if (this.#state.isTelling) this.#state.ties.noteRead(session, key, copy.body, copy)
    return session
  }

  #parse(copy, serializer) {
    const session = parse(serializer, copy.body)
    if (this.#state.options.ttl === undefined) tellExpiry(session, copy)
    return session
  }

  set(key, session, data, ttl, serializer, fn) {
    const { ties } = this.#state
    const given = { body: bodyCopy(data), ttl, isMerge: false }
    const tie = ties.of(session, key)
    const work = (call) =>
      tie
        ? this.#writeTied(call, tie, session, given, serializer)
        : this.#writeNew(key, session, given)
    return later(fn, this.#deadlines.run('set', work))
  }

  async #writeNew(key, session, { body, ttl }) {
    const { options, ties, isNew } = this.#state
    const wantsOld = hasDisposeOnSet(options)
    const readAt = monotonic()
    const isFinal = options.destroyed === 'final'
    const { isWritten, old } = await this.#records.create(key, body, ttl, { isFinal, wantsOld })
    if (!isWritten) return this.#noteRefusal(key)
    this.#counters.sets++
    const version = { body, readAt, expiresAt: readAt + ttl, cookie: undefined }
    // A new session is tied from its first write on: its request may write it again.
    if (isNew(session)) ties.tieNew(session, key, body, version)
    if (old !== undefined) this.#dispose(key, old)
  }

  async #writeTied(call, tie, session, given, serializer) {
    const { options } = this.#state
    const isForced = options.conflict === 'overwrite'
    await this.#turns.run(tie.key, async (left) => {
      // Other requests of this process may have waited for their turns, and written, meanwhile.
      const expected = (!isForced && left) || tie.version
      const write = isForced ? given : this.#mergedWith(expected, tie, session, given, serializer)
      const again = (stored) => this.#mergedWith(stored, tie, session, given, serializer)
      const written = await this.#write(call, tie, expected, write, isForced, again)
      if (written === undefined) return this.#noteRefusal(tie.key)
      this.#counters.sets++
      if (written.isMerge) this.#noteMerge(tie.key)
      this.#state.ties.noteWritten(tie, given.body, written.copy, !written.isMerge)
      if (hasDisposeOnSet(options)) this.#dispose(tie.key, written.replaced.body)
      return written.copy
    })
  }

  /** What to write if `stored` is what is stored. */
  #mergedWith(stored, tie, session, given, serializer) {
    const { version } = tie
    const isRenewed = stored.expiresAt > version.expiresAt + TOLERANCE
    const isSame = isSameBody(stored.body, tie.body) && !isRenewed
    if (isSame || stored.body.length === 0) return given
    const { options } = this.#state
    const theirs = this.#parse(stored, serializer)
    const life = stored.expiresAt - monotonic()
    return merged(options, serializer, tie.body, session, given, theirs, life) ?? given
  }

  /**
   * Writes until what is stored is what the write was made for. Returns the copy that is stored
   * then, and which it `replaced`; undefined if the session was destroyed.
   *
   * @param again makes the write anew for what another process has stored
   */
  async #write(call, { key, version }, expected, write, isForced, again) {
    const isFinal = this.#state.options.destroyed === 'final'
    for (let attempt = 1; !call.isOver; attempt++) {
      const readAt = monotonic()
      const { body, ttl, isMerge } = write
      const how = { isForced: isForced || attempt === MAX_ATTEMPTS, isFinal }
      const stored = await this.#records.write(key, version, expected, body, ttl, how)
      if (stored === false) return undefined
      if (stored === true) {
        const copy = { body, readAt, expiresAt: readAt + ttl, cookie: undefined }
        return { copy, replaced: expected, isMerge }
      }
      expected = stored
      write = again(stored)
    }
    throw new Error('nobody waits for it any more')
  }

  touch(key, session, ttl, serializer, fn) {
    const { options, ties } = this.#state
    const tie = options.conflict === 'overwrite' ? undefined : ties.of(session, key)
    if (tie && this.#isTooSoon(tie.version, session, ttl, serializer)) return done(fn)
    const work = (call) => this.#touch(call, key, session, ttl, serializer, tie)
    return later(fn, this.#deadlines.run('touch', work))
  }

  /** Whether a touch would change nothing but the expiry, and that by too little. */
  #isTooSoon(copy, session, ttl, serializer) {
    const gain = ttl - (copy.expiresAt - monotonic())
    const least = this.#touchAfter ?? Math.min(MOST_TOUCH_AFTER, ttl / TOUCH_PART)
    return gain >= 0 && gain < least && isRenewed(copy, session, serializer)
  }

  async #touch(call, key, session, ttl, serializer, tie) {
    const known = tie ? undefined : (this.#records.cached(key) ?? (await this.#records.load(key)))
    if (!tie && (known === undefined || this.#isTooSoon(known, session, ttl, serializer))) return
    await this.#turns.run(key, async (left) => {
      let expected = left ?? tie?.version ?? known
      for (let attempt = 1; !call.isOver; attempt++) {
        const touched = this.#touched(expected, session, ttl, serializer, tie)
        const stored = touched.isRenewal
          ? await this.#renew(key, expected, touched, tie)
          : await this.#replace(key, tie?.version ?? known, expected, touched, attempt)
        if (typeof stored === 'boolean') {
          if (stored) this.#counters.touches++
          const expiresAt = monotonic() + touched.ttl
          if (!stored) return undefined
          const { readAt } = tie?.version ?? known
          const cookie = touched.isRenewal ? expected.cookie : undefined
          const copy = { body: touched.body, readAt, expiresAt, cookie }
          if (tie && isSameBody(tie.version.body, touched.body)) tie.version = copy
          const isOverwritten = !touched.isRenewal && hasDisposeOnSet(this.#state.options)
          if (isOverwritten) this.#dispose(key, expected.body)
          return copy
        }
        expected = stored
      }
      return undefined
    })
  }

  /** What a touch stores in place of `stored`: its `body` and `ttl`. */
  #touched(stored, session, ttl, serializer, tie) {
    if (tie === undefined || isSameBody(stored.body, tie.body)) {
      if (isRenewed(stored, session, serializer)) return { isRenewal: true, body: stored.body, ttl }
      if (tie === undefined) return this.#withCookie(stored, session.cookie, ttl, serializer)
    }
    const parsed = this.#parse(stored, serializer)
    const renewed = renewal(serializer, tie.body, parsed, session)
    if (renewed === undefined) return this.#withCookie(stored, session.cookie, ttl, serializer)
    const life = stored.expiresAt - monotonic()
    const newTtl = ttlOfMerge(this.#state.options, renewed.side, ttl, life)
    if (!renewed.isChange) return { isRenewal: true, body: stored.body, ttl: newTtl }
    return this.#withCookie(stored, renewed.cookie, newTtl, serializer)
  }

  #withCookie(stored, cookie, ttl, serializer) {
    const session = withCookie(parse(serializer, stored.body), cookie)
    return { isRenewal: false, body: bodyCopy(toBody(serializer.stringify(session))), ttl }
  }

  #renew(key, expected, { ttl }, tie) {
    return this.#records.renew(key, expected, ttl, { isForced: tie === undefined })
  }

  #replace(key, { readAt }, expected, { body, ttl }, attempt) {
    const isForced = attempt === MAX_ATTEMPTS
    // A session that is gone is not touched, also if it has expired by itself.
    const present = { ...expected, readAt, expiresAt: Infinity }
    const isFinal = this.#state.options.destroyed === 'final'
    return this.#records.write(key, present, present, body, ttl, { isForced, isFinal })
  }

  /** `wrong` is the error of the first sid that is none. */
  destroy(keys, wrong, fn) {
    const wantsOld = Boolean(this.#state.options.dispose)
    const work = async () => {
      const err = await this.#remove(keys, wantsOld)
      if (err || wrong) throw wrong ?? err
    }
    return later(fn, this.#deadlines.run('destroy', work))
  }

  /** Removes sessions, and disposes of them. Returns the first error, if there was one. */
  async #remove(keys, wantsOld) {
    const olds = await Promise.allSettled(keys.map((key) => this.#records.destroy(key, wantsOld)))
    const errors = olds.flatMap(({ status, reason }) => (status === 'rejected' ? [reason] : []))
    olds.forEach(({ value }, i) => {
      if (value === undefined) return
      try {
        this.#dispose(keys[i], value)
      } catch (err) {
        errors.push(err)
      }
    })
    return errors[0]
  }

  ids(fn) {
    return later(
      fn,
      this.#collect('ids', [], (sids, sid) => sids.push(sid)),
    )
  }

  length(fn) {
    const count = this.#collect('length', { length: 0 }, (found) => found.length++)
    return later(
      fn,
      count.then(({ length }) => length),
    )
  }

  async #collect(method, into, add) {
    for await (const sids of this.#scan(method)) for (const sid of sids) add(into, sid)
    return into
  }

  /** Yields arrays of sids, each sid once. */
  async *#scan(method) {
    const seen = new Set()
    const steps = this.#records.scan()
    for (;;) {
      this.#state.assertOpen(method)
      const { value, done } = await this.#deadlines.run(method, () => steps.next())
      if (done) return
      const isNew = (sid) => !seen.has(sid) && seen.add(sid)
      yield value.filter(isNew)
    }
  }

  all(serializer, fn) {
    return later(fn, this.#collectAll(serializer))
  }

  async #collectAll(serializer) {
    const sessions = Object.create(null)
    for await (const [sid, session] of this.#entries('all', serializer)) sessions[sid] = session
    return sessions
  }

  async *keys() {
    this.#state.assertOpen('keys')
    for await (const sids of this.#scan('keys')) {
      for (const sid of sids) {
        this.#state.assertOpen('keys')
        yield sid
      }
    }
  }

  async *entries(serializer) {
    this.#state.assertOpen('entries')
    for await (const entry of this.#entries('entries', serializer)) {
      this.#state.assertOpen('entries')
      yield entry
    }
  }

  async *#entries(method, serializer) {
    for await (const sids of this.#scan(method)) {
      for (let i = 0; i < sids.length; i += READS_AT_ONCE) {
        const some = sids.slice(i, i + READS_AT_ONCE)
        const read = () => Promise.all(some.map((sid) => this.#records.peek(sid)))
        const copies = await this.#deadlines.run(method, read)
        for (let j = 0; j < some.length; j++) {
          if (copies[j] === undefined) continue
          yield [some[j], this.#parse(copies[j], serializer)]
        }
      }
    }
  }

  clear(fn) {
    return later(fn, this.#clear())
  }

  async #clear() {
    const wantsOld = Boolean(this.#state.options.dispose)
    let failure
    for await (const sids of this.#scan('clear')) {
      for (let i = 0; i < sids.length; i += READS_AT_ONCE) {
        const some = sids.slice(i, i + READS_AT_ONCE)
        const err = await this.#deadlines.run('clear', () => this.#remove(some, wantsOld))
        failure ??= err
      }
    }
    if (failure) throw failure
  }

  stats() {
    return this.#counters.with(this.#records.stats())
  }

  /** The server removes what has expired by itself; here only the copies of it are removed. */
  prune(fn) {
    this.#records.prune()
    return done(fn)
  }

  /** Starts the timer behind `checkPeriod`, and returns it. */
  startPruning(period) {
    this.#stopPruning()
    const { timer, stop } = every(period, this, (engine) => engine.#records.prune())
    this.#stopPruning = stop
    return timer
  }

  stopPruning() {
    this.#stopPruning()
  }

  /** Calls under way get their answers first. */
  close(fn) {
    return later(fn, this.#close())
  }

  async #close() {
    // Some may not have begun.
    await new Promise((resolve) => setImmediate(resolve))
    await this.#deadlines.idle()
    this.#records.close()
  }

  #noteRefusal(key) {
    this.#counters.refusedWrites++
    if (debug.enabled) debug('REFUSED %s: it was destroyed', tag(key))
    return undefined
  }

  #noteMerge(key) {
    this.#counters.merges++
    if (debug.enabled) debug('MERGE %s', tag(key))
  }

  #dispose(key, body) {
    this.#state.options.dispose(key, toSerialized(body))
  }
}

function serve(engine, key, serializer, fn) {
  engine.serve(key, serializer, fn)
}

function deliver(engine, copy, key, serializer, fn) {
  engine.deliver(copy, key, serializer, fn)
}

function hasDisposeOnSet({ dispose, noDisposeOnSet }) {
  return Boolean(dispose) && !noDisposeOnSet
}

/** Whether the cookie of `session` differs from that of a copy in when it expires, at most. */
function isRenewed(copy, session, serializer) {
  copy.cookie ??= parse(serializer, copy.body)?.cookie
  const [stored, own] = [copy.cookie, session?.cookie].map(membersOf)
  return stored !== undefined && own !== undefined && isRenewal(stored, own)
}

/** The members of a cookie that are stored; undefined if it is no object. */
function membersOf(cookie) {
  const members = typeof cookie?.toJSON === 'function' ? cookie.toJSON() : cookie
  return members !== null && typeof members === 'object' && !Array.isArray(members)
    ? members
    : undefined
}

/**
 * Gives the cookie the expiry that the server says: another request may have moved only that. For
 * sessions whose lifetime is their cookie's.
 */
function tellExpiry(session, { expiresAt }) {
  const cookie = session?.cookie
  if (expiresAt === Infinity || !cookie || typeof cookie !== 'object') return
  const { expires } = cookie
  if (!expires) return
  const time = typeof expires === 'string' ? Date.parse(expires) : Number(expires)
  const stored = Date.now() + expiresAt - monotonic()
  if (!(Math.abs(time - stored) > TOLERANCE)) return
  const date = new Date(stored)
  cookie.expires = typeof expires === 'string' ? date.toISOString() : date
}

module.exports = { RemoteEngine }
