'use strict'

/**
 * Random options and random commands, run side by side on this package and on memorystore
 * 1.6.8 under one faked date. After every command the two must agree on what was thrown, what
 * the callback got, what was disposed of in which order, what the ttl function was given, and
 * which sids there are in which order. Left out are only the deliberate differences: a prune
 * of memorystore is done twice, which restores the order that its first one reverses; `all`
 * is compared as a list of entries; sids are strings; a maxAge is never 0 or NaN; sessions
 * are never what stringify turns into undefined; and `all` is not called while something both
 * cannot be parsed and is in it, because memorystore then stops half way through.
 */

const assert = require('node:assert')
const { inspect } = require('node:util')
const FakeTimers = require('@sinonjs/fake-timers')
const fc = require('fast-check')
const test = require('ava')

const { MemoryStore, Reference, watchWarnings } = require('./helpers/stores.js')

const NOW = 1_700_000_000_000
const UNREADABLE = 'unreadable'

// ---- options

const ttlFunctions = {
  byBody: (_options, session) => session?.n * 10 - 20,
  never: () => 0,
  text: () => '15',
  bySid: (_options, _session, sid) => sid.length * 10,
  throwing: (_options, session) => {
    if (session?.n === 3) throw new RangeError('ttl')
    return 12
  },
}

const serializers = {
  base64: {
    stringify: (value) => Buffer.from(JSON.stringify(value)).toString('base64'),
    parse: (text) => JSON.parse(Buffer.from(text, 'base64').toString()),
  },
  unreliable: {
    stringify: (value) => (value?.n === 1 ? '' : JSON.stringify(value)),
    parse: (text) => {
      if (text.includes(UNREADABLE)) throw new SyntaxError(UNREADABLE)
      return JSON.parse(text)
    },
  },
}

const anyOptions = fc.record(
  {
    max: fc.constantFrom(1, 2, 3, 4, 5, 2.5, 0.5, 0, -1, NaN, Infinity, null, '2', true),
    ttl: fc.oneof(
      fc.integer({ min: -5, max: 40 }),
      fc.constantFrom(0.5, 10.5, -0.5, NaN, Infinity, null, false, '', '10', true),
      fc.constantFrom(...Object.keys(ttlFunctions)).map((name) => ({ function: name })),
    ),
    stale: fc.constantFrom(true, false, 1),
    noDisposeOnSet: fc.boolean(),
    serializer: fc.constantFrom(...Object.keys(serializers)),
    dispose: fc.constant(true),
  },
  { requiredKeys: [] },
)

/** A store with everything that it told the outside. */
function build(Store, { ttl, serializer, dispose, ...plain }) {
  const disposed = []
  const ttlCalls = []
  const options = { ...plain }
  if (ttl !== undefined) options.ttl = ttl?.function ? recording(ttl.function, ttlCalls) : ttl
  if (serializer) options.serializer = serializers[serializer]
  if (dispose) options.dispose = (sid, body) => disposed.push([sid, body])
  const { value: store } = watchWarnings(() => new Store(options))
  return { store, disposed, ttlCalls }
}

function recording(name, calls) {
  return (options, session, sid) => {
    calls.push([Object.keys(options), session, sid])
    return ttlFunctions[name](options, session, sid)
  }
}

// ---- commands

const anySid = fc.constantFrom('a', 'b', 'c', 'dd', 'é', '', 'f'.repeat(40))

const anyCookie = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      maxAge: fc.integer({ min: 1, max: 40 }),
      path: fc.constantFrom('/', '/é'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      undefined,
      null,
      {},
      { maxAge: null },
      { maxAge: '5' },
      { maxAge: -1 },
      { maxAge: -30 },
      { maxAge: 1.9 },
      { maxAge: Infinity },
      'text',
    ),
  },
)

const anySession = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      cookie: anyCookie,
      n: fc.integer({ min: 0, max: 5 }),
      text: fc.constantFrom('', 'é', '😀', 'x'.repeat(100), UNREADABLE),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom(null, 5, 'text', [], { n: 1n }) },
)

const anyCommand = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('set'), anySid, anySession) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('get'), anySid) },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constant('touch'),
      anySid,
      fc.oneof(
        { weight: 9, arbitrary: anySession },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant('destroy'),
      fc.oneof(anySid, fc.array(anySid, { maxLength: 3 })),
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(['all'], ['length'], ['ids'], ['clear'], ['prune']) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('wait'), fc.integer({ min: -5, max: 30 })) },
)

/**
 * Runs one command. Its `results` fill up when the callbacks run. What the option `ttl` makes
 * memorystore throw goes to the callback of this package, so both count as that.
 */
function perform({ store }, [method, ...args]) {
  const results = []
  let thrown
  try {
    if (method === 'prune') prune(store)
    else store[method](...args, (...given) => results.push(given.map(comparable)))
  } catch (err) {
    if (method === 'set' || method === 'touch') results.push([comparable(err)])
    else thrown = comparable(err)
  }
  return { results, thrown }
}

function prune(store) {
  store.prune()
  if (store instanceof Reference) store.prune()
}

/** Errors by their kind, what `all` gives by its entries, in order. */
function comparable(value) {
  if (value instanceof Error) return `error: ${value.name}`
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isPlain ? { entries: Object.entries(value) } : value
}

function cannotBeListed({ store }) {
  return store.store.values().some((text) => text.includes(UNREADABLE) || text === '')
}

// ---- the comparison

function runBoth(options, commands, clock) {
  const ours = build(MemoryStore, options)
  const theirs = build(Reference, options)
  const steps = []
  for (const command of commands) {
    if (command[0] === 'wait') {
      clock.setSystemTime(Date.now() + command[1])
      continue
    }
    if (command[0] === 'all' && cannotBeListed(theirs)) continue
    steps.push({ command, ours: step(ours, command), theirs: step(theirs, command) })
  }
  return steps
}

/** What one command did. All but its results, which come later, is known at once. */
function step(subject, command) {
  const done = perform(subject, command)
  const order = perform(subject, ['ids'])
  const count = perform(subject, ['length'])
  const disposed = subject.disposed.splice(0)
  const ttlCalls = subject.ttlCalls.splice(0)
  return { done, order, count, disposed, ttlCalls }
}

function describe(command, ours, theirs) {
  const shown = inspect({ command, ours, theirs }, { depth: 6, breakLength: 100 })
  return `the packages differ: ${shown}`
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

test.serial('it does what memorystore does, command by command', async (t) => {
  const clock = FakeTimers.install({ toFake: ['Date'], now: NOW })
  t.teardown(() => clock.uninstall())

  const property = fc.asyncProperty(
    anyOptions,
    fc.array(anyCommand, { maxLength: 80, size: 'max' }),
    async (options, commands) => {
      clock.setSystemTime(NOW)
      const steps = runBoth(options, commands, clock)
      await nextTurn()
      for (const { command, ours, theirs } of steps) {
        assert.deepStrictEqual(ours, theirs, describe(command, ours, theirs))
      }
    },
  )
  await fc.assert(property, { numRuns: 1500, includeErrorInReport: true })
  t.pass()
})
