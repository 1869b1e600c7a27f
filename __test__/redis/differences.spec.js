'use strict'

const { REASONS, runOnRedis } = require('../helpers/on-redis.js')

const { CLOSE, EXPIRED, LATER, LIMITS, ORDER, PRUNE, UTF8 } = REASONS

/** Tests with titles that come from a table. */
const each = (titles, reason) => Object.fromEntries(titles.map((title) => [title, reason]))

const INNER_CALLS = [
  ...['get', 'touch', 'destroy', 'all', 'ids', 'length', 'prune', 'set of another', 'clear'],
]

const during = (outer) => INNER_CALLS.map((inner) => `a dispose may call ${inner} during ${outer}`)

/** Texts with lone surrogates. */
const SURROGATES = [
  'a lone high surrogate',
  'a lone low surrogate',
  'surrogates in the wrong order',
  'both a lone surrogate and the replacement character',
]

const FORM = 'a serializer returns either texts or Buffers or other bytes'

runOnRedis(require.resolve('../differences.spec.js'), {
  different: {
    ...each(during('an eviction'), LIMITS),
    ...each(during('an expiry met by get'), EXPIRED),
    ...each(during('an expiry met by touch'), EXPIRED),
    ...each(during('an expiry met by all'), EXPIRED),
    ...each(during('a prune'), EXPIRED),
    'after a prune the least recently used is evicted first': LIMITS,
    'max holds although dispose reads the store, unlike in memorystore': LIMITS,
    'a maxAge of 0 is expired in the same millisecond': EXPIRED,
    'strings that resemble each other are different sids': UTF8,
    ...each(
      SURROGATES.map((text) => `a string with ${text} comes back identical`),
      UTF8,
    ),
    'every length around the buffers’ sizes comes back identical': UTF8,
    'bodies of 64 MB come back identical': FORM,
    'shared memory comes back as what it was: a Buffer or a Uint8Array': FORM,
    'after a dispose that threw, nothing is left to dispose of twice': LATER,
    'what dispose throws goes to the callback of touch, which is done by then': EXPIRED,
    'what dispose throws goes to the callback of all, which is done by then': EXPIRED,
  },
  skipped: {
    ...each(
      [
        ...['set over an old one', 'set that evicts', 'get of what expired'],
        ...['touch of what expired', 'destroy', 'destroy of many', 'clear', 'prune'],
      ].map((name) => `what dispose throws is thrown from ${name}, which is done by then`),
      LATER,
    ),
    // These would go on for ever.
    'one prune in the background disposes of all that it removed, once each': PRUNE,
    'it lets the event loop turn while it disposes of many': PRUNE,
    'what a background prune has removed is gone at once, before it is disposed of': PRUNE,
    'a session that is set again during a background prune is kept': PRUNE,
    'stopInterval and close leave nothing undisposed that was pruned': PRUNE,
    'what dispose throws is thrown from close, which is done by then': CLOSE,
  },
  unordered: {
    'prune keeps the order of use, which memorystore reverses': ORDER,
    'a prune in the background keeps the order of use too': ORDER,
  },
})
