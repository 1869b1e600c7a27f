'use strict'

/** What the specs of the option `lifetime` share: sessions, and a clock for them. */

const FakeTimers = require('@sinonjs/fake-timers')

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const YEAR = 365 * 24 * HOUR

const TEXTS = { stringify: (value) => JSON.stringify(value), parse: JSON.parse }

/** The ways in which a touch is done: in place, and by reading and writing. */
const WAYS = {
  'in place': { lifetime: 2 * HOUR },
  'told by a function': { lifetime: () => 2 * HOUR },
  'with a dispose': { lifetime: 2 * HOUR, dispose: () => {} },
  'with a serializer': { lifetime: 2 * HOUR, serializer: TEXTS },
  'with a user': { lifetime: 2 * HOUR, user: 'user' },
}

function withClock(t) {
  const clock = FakeTimers.install({ now: 1e12, toFake: ['Date'] })
  t.teardown(() => clock.uninstall())
  return clock
}

function request(store, sid, read) {
  return store.createSession({ sessionID: sid, sessionStore: store }, read)
}

const cookieOf = (maxAge) => ({
  originalMaxAge: maxAge,
  expires: new Date(Date.now() + maxAge).toISOString(),
  maxAge,
})

module.exports = { HOUR, MINUTE, WAYS, YEAR, cookieOf, request, withClock }
