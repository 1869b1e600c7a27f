'use strict'

/**
 * Touches of sessions in records that answer later. Where only the expiry moves, only the expiry is
 * stored; a cookie with other changes is stored with its session.
 */

const { bodyCopy, isSameBody, parse, toBody } = require('../body.js')
const { renewal, ttlOfMerge, withCookie } = require('../conflict.js')
const { monotonic } = require('./clock.js')
const { isRenewed, sessionIn } = require('./copies.js')
const { disposesOnSet } = require('./disposal.js')
const { Moments } = require('./moments.js')
const { isFinal, MAX_ATTEMPTS } = require('./rules.js')

/** By default, touches that extend a session by less than this part of its life are left out. */
const TOUCH_PART = 20

/** The most milliseconds by which such a touch would extend it. */
const MOST_TOUCH_AFTER = 60 * 1000

/** Of how many sessions it is remembered when they were touched. */
const MAX_CAPPED = 10_000

class Touches {
  #state
  #records
  #counters
  #turns
  #marks
  #touchAfter
  /** When sessions were touched last whose lifetime did not let them live longer by that. */
  #capped = new Moments(MAX_CAPPED)

  /**
   * @param touchAfter a touch that would extend the life of a session by less is left out; undefined
   *   for what suits the lifetime of each session
   */
  constructor({ state, records, counters, turns, marks }, touchAfter) {
    this.#state = state
    this.#records = records
    this.#counters = counters
    this.#turns = turns
    this.#marks = marks
    this.#touchAfter = touchAfter
  }

  /** Whether a touch would change nothing but the expiry, and that by too little. */
  isTooSoon(key, copy, session, ttl, serializer) {
    const now = monotonic()
    const gain = ttl - (copy.expiresAt - now)
    const least = this.#touchAfter ?? Math.min(MOST_TOUCH_AFTER, ttl / TOUCH_PART)
    if (gain < 0) return false
    // One that cannot extend the session only tells that it is used.
    if (gain >= least && now - this.#capped.of(key) >= least) return false
    return isRenewed(copy, session, serializer)
  }

  /**
   * Touches a session. Returns what it has replaced, if that is to be disposed of.
   *
   * @param {Call} call on whose behalf it is
   */
  async touch(call, key, session, { ttl, lifetime }, serializer, tie) {
    const read = tie?.version ?? this.#records.cached(key) ?? (await this.#records.load(key))
    if (read === undefined) return undefined
    if (!tie && this.isTooSoon(key, read, session, ttl, serializer)) return undefined
    let replaced
    await this.#turns.run(key, async (left) => {
      let stored = left ?? read
      for (let attempt = 1; !call.isOver; attempt++) {
        const touched = this.#touched(stored, session, ttl, serializer, tie)
        const answer = await this.#store(key, stored, touched, {
          tie,
          readAt: read.readAt,
          isOthers: stored !== read,
          isForced: attempt === MAX_ATTEMPTS,
          isFinal: isFinal(this.#state.options),
          mark: this.#marks.ofTouch(touched.body, lifetime, serializer),
        })
        if (answer === false) return undefined
        if (answer === true || answer.isDone) {
          if (!touched.isRenewal) replaced = stored.body
          const { life = touched.ttl } = answer
          if (life < touched.ttl) this.#capped.note(key, monotonic())
          return this.#noteTouched(touched, life, stored, read, tie)
        }
        stored = answer
      }
      return undefined
    })
    return disposesOnSet(this.#state.options) ? replaced : undefined
  }

  /**
   * What a touch stores in place of `stored`: its `body` and `ttl`, and whether that is a renewal,
   * in which nothing but the expiry moves.
   */
  #touched(stored, session, ttl, serializer, tie) {
    if (tie === undefined || isSameBody(stored.body, tie.body)) {
      if (isRenewed(stored, session, serializer)) return { isRenewal: true, body: stored.body, ttl }
    }
    const { options } = this.#state
    const theirs = sessionIn(stored, serializer, options)
    const renewed = tie && renewal(serializer, tie.body, theirs, session)
    if (!renewed) return touchedWith(session.cookie, ttl, stored, serializer)
    const newTtl = ttlOfMerge(options, renewed.side, ttl, stored.expiresAt - monotonic())
    if (!renewed.isChange) return { isRenewal: true, body: stored.body, ttl: newTtl }
    return touchedWith(renewed.cookie, newTtl, stored, serializer)
  }

  #store(key, stored, { isRenewal, body, ttl }, { tie, ...how }) {
    if (isRenewal) {
      const { mark } = how
      return this.#records.renew(key, stored, ttl, { isForced: tie === undefined, mark })
    }
    // A session that is gone is not touched, also if it has expired by itself.
    const present = { ...stored, expiresAt: Infinity }
    return this.#records.write(key, present, body, ttl, { ...how, isLongest: true })
  }

  /** The copy that a touch has left. */
  #noteTouched({ isRenewal, body }, life, stored, { readAt }, tie) {
    this.#counters.touches++
    const cookie = isRenewal ? stored.cookie : undefined
    const copy = { body, readAt, expiresAt: monotonic() + life, cookie }
    if (tie && isSameBody(tie.version.body, body)) tie.version = copy
    return copy
  }
}

function touchedWith(cookie, ttl, stored, serializer) {
  const session = withCookie(parse(serializer, stored.body), cookie)
  return { isRenewal: false, body: bodyCopy(toBody(serializer.stringify(session))), ttl }
}

module.exports = { Touches }
