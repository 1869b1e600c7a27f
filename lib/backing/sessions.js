'use strict'

/**
 * Sessions as the other store takes and gives them, objects, and as this one keeps them, the texts
 * or bytes of the serializer.
 */

const { isDate } = require('node:util/types')
const { bodyCopy, parse, toBody } = require('../body.js')
const { membersOf } = require('../remote/copies.js')
const { StoredCookie, dateOf } = require('./cookie.js')

/** How many names of members that are dates are remembered; there is no need of more. */
const MAX_DATES = 100

class Sessions {
  #serializer
  /** The names of members, besides the cookie, that the other store gives as dates. */
  #dates = new Set()

  constructor(serializer) {
    this.#serializer = serializer
  }

  /** A session that the other store gave, serialized. It may be one that it goes on using. */
  bodyOf(session) {
    this.#noteDates(session)
    const given = this.#serializer === JSON ? session : withStoredCookie(copyOf(session))
    return bodyCopy(toBody(this.#serializer.stringify(given)))
  }

  parse(body) {
    return parse(this.#serializer, body)
  }

  /**
   * A session to give to the other store, which may change it.
   *
   * @param expires when it is to expire from now on, if it does; by default as its cookie says
   */
  sessionOf(body, expires) {
    const session = this.parse(body)
    if (session === null || typeof session !== 'object') return session
    const own = withStoredCookie(Object.isFrozen(session) ? copyOf(session) : session)
    if (expires !== undefined && own.cookie?.expires) own.cookie.expires = expires
    if (this.#serializer === JSON) this.#makeDates(own)
    return own
  }

  /** connect-mongo, for one, calls methods of a date that it has put into the session. */
  #noteDates(session) {
    if (session === null || typeof session !== 'object') return
    for (const name of Object.keys(session)) {
      if (!isDate(session[name]) || this.#dates.size >= MAX_DATES) continue
      this.#dates.add(name)
    }
  }

  #makeDates(session) {
    for (const name of this.#dates) {
      if (Object.hasOwn(session, name)) session[name] = dateOf(session[name])
    }
  }
}

function copyOf(session) {
  if (session === null || typeof session !== 'object') return session
  return Object.assign(Object.create(Object.getPrototypeOf(session)), session)
}

function withStoredCookie(session) {
  const members = membersOf(session?.cookie)
  if (members !== undefined) session.cookie = new StoredCookie(members)
  return session
}

module.exports = { Sessions }
