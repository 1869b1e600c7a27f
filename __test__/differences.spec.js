'use strict'

/**
 * What docs/differences.md says about the differences from memorystore: that each exists, and is
 * as described there.
 */

const { createHash, randomBytes } = require('node:crypto')
const { deserialize, serialize } = require('node:v8')
const { runInNewContext } = require('node:vm')
const FakeTimers = require('@sinonjs/fake-timers')
const test = require('ava')

const { runScript } = require('./helpers/process.js')
const {
  MemoryStore,
  Reference,
  callbackArguments,
  disposingStore,
  storedText,
  until,
} = require('./helpers/stores.js')

const HOUR = 3_600_000
const NOW = 1_700_000_000_000
const TIMERS = ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout']

const lasting = (maxAge, more) => ({ cookie: { maxAge }, ...more })
const fill = (store, ...sids) => Promise.all(sids.map((sid) => store.set(sid, { cookie: {}, sid })))
const expire = (store, ...sids) => Promise.all(sids.map((sid) => store.set(sid, lasting(-1))))
const sidsOf = (disposed) => disposed.map(([sid]) => sid)

function fake(t, toFake = ['Date']) {
  const clock = FakeTimers.install({ toFake, now: NOW })
  t.teardown(() => clock.uninstall())
  return clock
}

// ---- prune

test('prune keeps the order of use, which memorystore reverses', async (t) => {
  const stores = [new MemoryStore({ max: 3 }), new Reference({ max: 3 })]
  const orders = []
  for (const store of stores) {
    await fill(store, 'a', 'b', 'c')
    store.prune()
    orders.push((await callbackArguments(store, 'ids'))[1])
  }
  t.deepEqual(orders, [
    ['c', 'b', 'a'],
    ['a', 'b', 'c'],
  ])
})

test('after a prune the least recently used is evicted first', async (t) => {
  const store = new MemoryStore({ max: 3 })
  await fill(store, 'a', 'b', 'c')
  store.prune()
  await fill(store, 'd')
  t.deepEqual(await store.ids(), ['d', 'c', 'b'])
})

test.serial('a prune in the background keeps the order of use too', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const store = new MemoryStore({ checkPeriod: 100 })
  await fill(store, 'a', 'b')
  await expire(store, 'gone')
  await fill(store, 'c')
  store.get('a')
  clock.tick(100)
  t.deepEqual(await store.ids(), ['a', 'c', 'b'])
  store.stopInterval()
})

test.serial('one prune in the background disposes of all that it removed, once each', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const { store, disposed } = disposingStore(MemoryStore, { checkPeriod: 100 })
  await fill(store, 'alive')
  const sids = Array.from({ length: 2000 }, (_, index) => `s${index}`)
  await expire(store, ...sids)
  t.is(disposed.length, 0)

  clock.tick(100)
  await until(() => disposed.length >= sids.length)
  store.stopInterval()
  t.deepEqual(sidsOf(disposed).sort(), sids.sort())
  t.deepEqual(disposed[0], [disposed[0][0], JSON.stringify(lasting(-1))])
  t.deepEqual(await store.ids(), ['alive'])
})

test('it lets the event loop turn while it disposes of many', async (t) => {
  const turns = []
  let turn = 0
  const count = () => {
    turn++
    if (turns.length < 3000) setImmediate(count)
  }
  const store = new MemoryStore({ checkPeriod: 5, dispose: () => turns.push(turn) })
  expire(store, ...Array.from({ length: 3000 }, (_, index) => `s${index}`))
  count()
  await until(() => turns.length === 3000)
  store.stopInterval()
  t.true(new Set(turns).size > 1)
})

test.serial(
  'what a background prune has removed is gone at once, before it is disposed of',
  async (t) => {
    const clock = fake(t, ['Date', ...TIMERS])
    const { store, disposed } = disposingStore(MemoryStore, { checkPeriod: 100, stale: true })
    await expire(store, 'a', 'b', 'c', 'd')
    clock.tick(100)

    t.is(await store.get('a'), undefined)
    await store.touch('b', lasting(1000))
    await store.destroy('c')
    t.is(await store.length(), 0)
    await until(() => disposed.length === 4)
    t.deepEqual(sidsOf(disposed).sort(), ['a', 'b', 'c', 'd'])
    store.stopInterval()
  },
)

test.serial('a session that is set again during a background prune is kept', async (t) => {
  const clock = fake(t, ['Date', ...TIMERS])
  const { store, disposed } = disposingStore(MemoryStore, { checkPeriod: 100 })
  await expire(store, 'a')
  clock.tick(100)
  await fill(store, 'a')
  await until(() => disposed.length === 1)
  t.deepEqual(disposed, [['a', JSON.stringify(lasting(-1))]])
  t.deepEqual(await store.ids(), ['a'])
  store.stopInterval()
})

test('stopInterval and close leave nothing undisposed that was pruned', async (t) => {
  for (const end of ['stopInterval', 'close']) {
    const { store, disposed } = disposingStore(MemoryStore, { checkPeriod: 5 })
    await expire(store, ...Array.from({ length: 1000 }, (_, index) => `s${index}`))
    await until(() => disposed.length > 0)
    store[end]()
    await until(() => disposed.length >= 1000)
    t.is(new Set(sidsOf(disposed)).size, 1000)
    t.is(disposed.length, 1000)
  }
})

test('a store that is dropped without stopInterval is freed', async (t) => {
  const script = `
    const Store = require('.')()
    const timers = new Set()
    const { setInterval, clearInterval } = globalThis
    globalThis.setInterval = (...args) => { const timer = setInterval(...args); timers.add(timer); return timer }
    globalThis.clearInterval = (timer) => { timers.delete(timer); clearInterval(timer) }
    let store = new Store({ checkPeriod: 10 })
    store.set('a', { cookie: {} })
    const weak = new WeakRef(store)
    store = undefined
    const wait = setInterval(() => {
      gc()
      if (weak.deref() === undefined && timers.size === 0) clearInterval(wait)
    }, 5)`
  const { code, stderr } = await runScript(script, { args: ['--expose-gc'] })
  t.is(code, 0, stderr)
})

// ---- how long a session lives

for (const maxAge of [0, -0, 0.5, 0.999]) {
  test.serial(
    `a maxAge of ${Object.is(maxAge, -0) ? '-0' : maxAge} is expired at once`,
    async (t) => {
      const clock = fake(t)
      const stores = [new MemoryStore(), new Reference()]
      const found = []
      for (const store of stores) {
        await store.set('a', lasting(maxAge))
        clock.tick(1e12)
        found.push((await callbackArguments(store, 'get', 'a')).length > 0)
      }
      t.deepEqual(found, [false, true])
    },
  )
}

test.serial('a maxAge of 0 is expired in the same millisecond', async (t) => {
  fake(t)
  const store = new MemoryStore()
  await store.set('a', lasting(0))
  t.is(await store.length(), 1)
  t.is(await store.get('a'), undefined)
  t.is(await store.length(), 0)
})

test.serial('a touch with a maxAge of 0 ends the session', async (t) => {
  fake(t)
  const store = new MemoryStore()
  await store.set('a', lasting(1000))
  await store.touch('a', lasting(0))
  t.is(await store.get('a'), undefined)
})

test.serial('a maxAge of NaN counts as not set: a day', async (t) => {
  const clock = fake(t)
  const store = new MemoryStore()
  await store.set('a', lasting(NaN))
  clock.tick(86_400_000)
  t.truthy(await store.get('a'))
  clock.tick(1)
  t.is(await store.get('a'), undefined)
})

// ---- the result of all

test('the result of all has no prototype', async (t) => {
  const all = await new MemoryStore().all()
  t.is(Object.getPrototypeOf(all), null)
  t.false('toString' in all)
})

test('a sid such as __proto__ is an ordinary key of it', async (t) => {
  const sids = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']
  const store = new MemoryStore()
  await fill(store, ...sids)
  const all = await store.all()
  t.deepEqual(Object.keys(all).sort(), [...sids].sort())
  for (const sid of sids) {
    t.is(all[sid].sid, sid)
    t.is((await store.get(sid)).sid, sid)
  }
  t.is({}.sid, undefined)
})

// ---- sids

for (const [sid, text] of [
  [1, '1'],
  [-0, '0'],
  [1e21, '1e+21'],
  [NaN, 'NaN'],
  [true, 'true'],
  [false, 'false'],
  [12345678901234567890n, '12345678901234567890'],
]) {
  test(`the sid ${typeof sid} ${text} is its text`, async (t) => {
    const { store, disposed } = disposingStore(MemoryStore)
    await store.set(sid, { cookie: {}, n: 1 })
    t.deepEqual(await store.ids(), [text])
    t.is((await store.get(text)).n, 1)
    await store.set(text, { cookie: {}, n: 2 })
    t.is((await store.get(sid)).n, 2)
    await store.touch(sid, { cookie: 5 })
    t.is((await store.get(text)).cookie, 5)
    await store.destroy([sid])
    t.is(await store.length(), 0)
    t.deepEqual(new Set(sidsOf(disposed)), new Set([text]))
  })
}

const WRONG_SIDS = {
  undefined: undefined,
  null: null,
  'a symbol': Symbol('sid'),
  'an object': { toString: () => 'a' },
  'a String object': Object('a'),
  'an array': [['a']],
  'a function': () => 'a',
  'a date': new Date(0),
  'a buffer': Buffer.from('a'),
}

for (const [name, sid] of Object.entries(WRONG_SIDS)) {
  test(`a sid that is ${name} is a TypeError to the callback, and nobody’s session`, async (t) => {
    const store = new MemoryStore()
    await fill(store, 'a', 'undefined', 'null', '[object Object]', '')
    const calls = [
      ['get', sid],
      ['set', sid, { cookie: {}, n: 1 }],
      ['touch', sid, { cookie: 1 }],
      ['destroy', sid],
    ]
    for (const [method, ...args] of calls) {
      const [error] = await callbackArguments(store, method, ...args)
      t.true(error instanceof TypeError, method)
      t.is(error.code, 'ERR_INVALID_ARG_TYPE')
      t.true(error.message.includes(`${method}()`), error.message)
    }
    t.is(await store.length(), 5)
    for (const each of Object.values(await store.all())) t.deepEqual(each.cookie, {})
  })
}

test('destroy of an array destroys the right sids although one is wrong', async (t) => {
  const store = new MemoryStore()
  await fill(store, 'a', 'b', 'c')
  const [error] = await callbackArguments(store, 'destroy', ['a', null, 'b'])
  t.true(error instanceof TypeError)
  t.deepEqual(await store.ids(), ['c'])
})

test('a wrong sid is never shown in the error', async (t) => {
  const [error] = await callbackArguments(new MemoryStore(), 'get', { secret: 'hunter2' })
  t.notRegex(error.message, /hunter2|secret/)
})

test('strings that resemble each other are different sids', async (t) => {
  const sids = [
    '\ud800',
    '\udc00',
    '\ufffd',
    '\ud800x',
    '\ufffdx',
    '\ud83d\ude00',
    '\ude00\ud83d',
    '\ufeffa',
    'a',
    'a\0',
    '\0a',
    'a\0b',
    '\u00ff\u0000\u00d8',
    'é',
    'e\u0301',
    'a '.repeat(20_000),
    'a '.repeat(20_000) + '\ud800',
  ]
  const { store, disposed } = disposingStore(MemoryStore)
  for (const [n, sid] of sids.entries()) await store.set(sid, { cookie: {}, n })
  t.deepEqual(await store.ids(), sids.toReversed())
  for (const [n, sid] of sids.entries()) t.is((await store.get(sid)).n, n)
  t.deepEqual(Object.keys(await store.all()).sort(), [...sids].sort())
  await store.destroy(sids)
  t.deepEqual(sidsOf(disposed), sids)
})

// ---- what a serializer may return

/** A store whose sessions are what its serializer returns, so that get gives that back. */
function transparentStore(options) {
  const serializer = { stringify: (value) => value, parse: (value) => value }
  return new MemoryStore({ ...options, serializer })
}

const STRINGS = {
  ASCII: 'plain',
  NULs: '\0a\0\0',
  'Latin-1': 'é\xff\x80',
  'a lone high surrogate': 'a\ud800b',
  'a lone low surrogate': '\udc00',
  'surrogates in the wrong order': '\ude00\ud83d',
  'the replacement character': '\ufffd',
  'both a lone surrogate and the replacement character': '\ufffd\ud800\ufffd',
  'a byte order mark': '\ufefftext',
  emoji: '😀'.repeat(50),
  'one unit more than a buffer of 16 kB': 'a'.repeat(16 * 1024 + 1),
  'a two-byte text around 16 kB': 'é'.repeat(8191) + '😀',
}

for (const [name, text] of Object.entries(STRINGS)) {
  test(`a string with ${name} comes back identical`, async (t) => {
    const disposed = []
    const store = transparentStore({ dispose: (_sid, value) => disposed.push(value) })
    await store.set('a', text)
    t.is(await store.get('a'), text)
    t.is((await store.all()).a, text)
    await store.destroy('a')
    t.deepEqual(disposed, [text])
  })
}

test('every length around the buffers’ sizes comes back identical', async (t) => {
  const store = transparentStore()
  const wrong = []
  for (const unit of ['a', 'é', '€', '😀', '\ud800']) {
    for (let length = 16_370; length < 16_400; length++) {
      const text = unit.repeat(Math.ceil(length / Buffer.byteLength(unit)))
      await store.set('a', text)
      if ((await store.get('a')) !== text) wrong.push([unit, length])
    }
  }
  t.deepEqual(wrong, [])
})

const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)

test('a Buffer comes back as an equal Buffer', async (t) => {
  for (const buffer of [Buffer.from(bytes), Buffer.alloc(0), Buffer.from(bytes.buffer, 5, 9)]) {
    const disposed = []
    const store = transparentStore({ dispose: (_sid, value) => disposed.push(value) })
    await store.set('a', buffer)
    for (const found of [await store.get('a'), (await store.all()).a]) {
      t.true(Buffer.isBuffer(found))
      t.deepEqual(found, buffer)
    }
    await store.destroy('a')
    t.true(Buffer.isBuffer(disposed[0]))
    t.deepEqual(disposed, [buffer])
  }
})

test('a Uint8Array comes back as an equal Uint8Array', async (t) => {
  for (const array of [bytes, new Uint8Array(0), bytes.subarray(7, 20)]) {
    const store = transparentStore()
    await store.set('a', array)
    for (const found of [await store.get('a'), (await store.all()).a]) {
      t.true(Object.getPrototypeOf(found) === Uint8Array.prototype)
      t.deepEqual([...found], [...array])
    }
  }
})

test('a Uint8Array of another realm is one of this realm afterwards', async (t) => {
  const store = transparentStore()
  await store.set('a', runInNewContext('Uint8Array.of(1, 2, 3)'))
  t.deepEqual(await store.get('a'), Uint8Array.of(1, 2, 3))
})

test('shared memory comes back as what it was: a Buffer or a Uint8Array', async (t) => {
  const store = transparentStore()
  const shared = new SharedArrayBuffer(3)
  new Uint8Array(shared).set([1, 2, 3])
  await store.set('buffer', Buffer.from(shared))
  await store.set('array', new Uint8Array(shared))
  new Uint8Array(shared).fill(9)
  t.deepEqual(await store.get('array'), Uint8Array.of(1, 2, 3))
  t.deepEqual(await store.get('buffer'), Buffer.of(1, 2, 3))
})

test('stored bytes change neither with those given nor with those handed out', async (t) => {
  const store = transparentStore()
  const given = Buffer.from('abc')
  await store.set('a', given)
  given.fill('x')
  const found = await store.get('a')
  t.is(String(found), 'abc')
  found.fill('y')
  t.is(String(await store.get('a')), 'abc')
})

test('a binary serializer works in all methods', async (t) => {
  const store = new MemoryStore({ serializer: { stringify: serialize, parse: deserialize } })
  const at = new Date(5)
  await store.set('a', { cookie: { maxAge: HOUR }, at, map: new Map([[1, new Set([2])]]) })
  await store.touch('a', { cookie: { maxAge: 2 * HOUR } })
  const expected = { cookie: { maxAge: 2 * HOUR }, at, map: new Map([[1, new Set([2])]]) }
  t.deepEqual(await store.get('a'), expected)
  t.deepEqual((await store.all()).a, expected)
})

test.serial('bodies of 64 MB come back identical', async (t) => {
  const size = 64 * 1024 * 1024
  const pattern = randomBytes(1021)
  const bodies = [
    'x'.repeat(size - 1) + 'y',
    'é'.repeat(size / 2),
    Buffer.alloc(size, pattern),
    new Uint8Array(Buffer.alloc(size, pattern)),
  ]
  const store = transparentStore()
  for (const body of bodies) {
    await store.set('a', body)
    const found = await store.get('a')
    t.is(typeof found, typeof body)
    t.is(Buffer.isBuffer(found), Buffer.isBuffer(body))
    t.true(typeof body === 'string' ? found === body : Buffer.compare(found, body) === 0)
  }
})

const WRONG_RESULTS = {
  undefined: undefined,
  null: null,
  'a number': 5,
  'a boolean': true,
  'an object': {},
  'a String object': Object('text'),
  'an array': [1, 2],
  'a promise': Promise.resolve('text'),
  'an ArrayBuffer': new ArrayBuffer(4),
  'a DataView': new DataView(new ArrayBuffer(4)),
  'a Uint16Array': new Uint16Array(4),
  'a Uint8ClampedArray': new Uint8ClampedArray(4),
  'a symbol': Symbol('text'),
  'a function': () => {},
}

for (const [name, result] of Object.entries(WRONG_RESULTS)) {
  test(`a serializer that returns ${name} is a TypeError to the callback, and changes nothing`, async (t) => {
    const { store, disposed } = disposingStore(MemoryStore)
    await fill(store, 'a', 'b')
    store.serializer = { stringify: () => result, parse: JSON.parse }
    for (const [method, sid] of [
      ['set', 'a'],
      ['touch', 'b'],
      ['set', 'new'],
    ]) {
      const results = await callbackArguments(store, method, sid, { cookie: { n: 1 } })
      t.is(results.length, 1)
      t.true(results[0] instanceof TypeError)
      t.regex(results[0].message, /serializer\.stringify/)
    }
    t.deepEqual(disposed, [])
    t.is(await store.length(), 2)
    for (const sid of ['a', 'b']) {
      t.is(await storedText(store, sid), JSON.stringify({ cookie: {}, sid }))
    }
  })
}

test('a session of undefined is a TypeError to the callback', async (t) => {
  const store = new MemoryStore()
  await fill(store, 'a')
  const [error] = await callbackArguments(store, 'set', 'a', undefined)
  t.true(error instanceof TypeError)
  t.truthy(await store.get('a'))
  t.deepEqual(Object.keys(await store.all()), ['a'])
})

// ---- calling the store from inside

/** Whether the store counts what it has, and has what it counts. */
async function isConsistent(store) {
  // What has expired counts until it is met, and `all` would meet it.
  store.prune()
  const ids = await store.ids()
  return (
    (await store.length()) === ids.length && Object.keys(await store.all()).length === ids.length
  )
}

const INNER_CALLS = {
  get: (store, sid) => store.get(sid),
  touch: (store, sid) => store.touch(sid, lasting(HOUR)),
  destroy: (store, sid) => store.destroy(sid),
  all: (store) => store.all(),
  ids: (store) => store.ids(),
  length: (store) => store.length(),
  prune: (store) => store.prune(),
  'set of another': (store) => store.set('other', lasting(HOUR)),
  clear: (store) => store.clear(),
}

const OUTER_CALLS = {
  'an overwrite': (store) => fill(store, 'a'),
  'an eviction': (store) => fill(store, 'new'),
  'an expiry met by get': (store) => store.get('expired'),
  'an expiry met by touch': (store) => store.touch('expired', lasting(HOUR)),
  'an expiry met by all': (store) => store.all(),
  'a prune': (store) => store.prune(),
  'a destroy': (store) => store.destroy('a'),
  'a destroy of many': (store) => store.destroy(['a', 'b', 'expired']),
  'a clear': (store) => store.clear(),
}

for (const [inner, call] of Object.entries(INNER_CALLS)) {
  for (const [outer, cause] of Object.entries(OUTER_CALLS)) {
    test(`a dispose may call ${inner} during ${outer}`, async (t) => {
      const seen = []
      const calls = []
      const store = new MemoryStore({
        max: 4,
        dispose(sid) {
          seen.push(sid)
          if (seen.length < 10) calls.push(call(store, sid))
        },
      })
      await fill(store, 'a', 'b')
      await expire(store, 'expired')
      await fill(store, 'c')
      await cause(store)
      while (calls.length > 0) await calls.shift()
      t.true(seen.length > 0)
      t.true(await isConsistent(store))
      t.true((await store.length()) <= 4)
    })
  }
}

test('max holds although dispose reads the store, unlike in memorystore', async (t) => {
  const lengths = []
  for (const Store of [MemoryStore, Reference]) {
    const store = new Store({
      max: 3,
      dispose: (sid) => sid.startsWith('expired') && store.all(() => {}),
    })
    for (let i = 0; i < 5; i++) {
      await expire(store, `expired${i}`)
      store.all(() => {})
    }
    await fill(store, 'a', 'b', 'c', 'd', 'e', 'f')
    lengths.push((await callbackArguments(store, 'length'))[1])
  }
  t.is(lengths[0], 3)
  t.true(lengths[1] > 3)
})

test('a dispose that destroys the same sid is called once for it', async (t) => {
  const disposed = []
  const store = new MemoryStore({
    dispose(sid) {
      disposed.push(sid)
      store.destroy(sid)
    },
  })
  await fill(store, 'a', 'b')
  await store.destroy('a')
  t.deepEqual(disposed, ['a'])
  t.deepEqual(await store.ids(), ['b'])
})

test('a dispose may put the session back', async (t) => {
  let puts = 0
  const store = new MemoryStore({
    dispose(sid, text) {
      if (puts++ < 1) store.set(sid, JSON.parse(text))
    },
  })
  await fill(store, 'a')
  await store.destroy('a')
  t.deepEqual((await store.get('a')).sid, 'a')
  t.true(await isConsistent(store))
})

for (const [name, call] of Object.entries({
  ...INNER_CALLS,
  'set of the same': (store, sid) => store.set(sid, lasting(HOUR, { inner: true })),
})) {
  test(`a serializer may call ${name}`, async (t) => {
    let depth = 0
    const calls = []
    const inside = (work) => (value) => {
      depth++
      if (depth < 2 && calls.length < 100) calls.push(call(store, 'a'))
      depth--
      return work(value)
    }
    const serializer = { stringify: inside(JSON.stringify), parse: inside(JSON.parse) }
    const store = new MemoryStore({ serializer, max: 3 })
    await fill(store, 'a', 'b', 'c')
    await store.get('a')
    await store.touch('a', lasting(HOUR))
    await store.all()
    await fill(store, 'd')
    t.is((await store.get('d')).sid, 'd')
    for (const each of calls) await each
    t.true(await isConsistent(store))
  })
}

test('a stringify that sets the same sid comes first, the outer set last', async (t) => {
  let isInner = false
  const stringify = (value) => {
    if (!isInner) {
      isInner = true
      store.set('a', { cookie: {}, from: 'inside' })
    }
    return JSON.stringify(value)
  }
  const store = new MemoryStore({ serializer: { stringify, parse: JSON.parse } })
  store.set('a', { cookie: {}, from: 'outside' })
  t.is((await store.get('a')).from, 'outside')
  t.is(await store.length(), 1)
})

test('a dispose or a serializer that closes the store gives a clear error or none', async (t) => {
  const disposing = new MemoryStore({ dispose: () => disposing.close() })
  await fill(disposing, 'a')
  t.is(await disposing.destroy('a'), undefined)
  await t.throwsAsync(disposing.get('a'), { code: 'ERR_MEMORYSTORE_CLOSED' })

  const stringify = (value) => {
    serializing.close()
    return JSON.stringify(value)
  }
  const serializing = new MemoryStore({ serializer: { stringify, parse: JSON.parse } })
  await t.throwsAsync(serializing.set('a', {}), { code: 'ERR_MEMORYSTORE_CLOSED' })
})

// ---- a dispose that throws

/** A store with a, b, c, and what expired in between, whose dispose throws from now on. */
async function throwingStore() {
  const disposed = []
  const state = { throws: false }
  const store = new MemoryStore({
    max: 4,
    dispose(sid) {
      disposed.push(sid)
      if (state.throws) throw new Error(`dispose of ${sid}`)
    },
  })
  await fill(store, 'a', 'b')
  await expire(store, 'expired')
  await fill(store, 'c')
  state.throws = true
  return { store, disposed, state }
}

const THROWN = {
  'set over an old one': [
    (store, fn) => store.set('a', lasting(HOUR), fn),
    ['a'],
    ['a', 'c', 'expired', 'b'],
  ],
  'set that evicts': [
    (store, fn) => store.set('new', lasting(HOUR), fn),
    ['a'],
    ['new', 'c', 'expired', 'b'],
  ],
  'get of what expired': [(store, fn) => store.get('expired', fn), ['expired'], ['c', 'b', 'a']],
  'touch of what expired': [
    (store, fn) => store.touch('expired', lasting(HOUR), fn),
    ['expired'],
    ['c', 'b', 'a'],
  ],
  destroy: [(store, fn) => store.destroy('b', fn), ['b'], ['c', 'expired', 'a']],
  'destroy of many': [(store, fn) => store.destroy(['c', 'a'], fn), ['c', 'a'], ['expired', 'b']],
  clear: [(store, fn) => store.clear(fn), ['c', 'expired', 'b', 'a'], []],
  prune: [(store, fn) => store.prune(fn), ['expired'], ['c', 'b', 'a']],
  close: [(store, fn) => store.close(fn), ['c', 'expired', 'b', 'a'], undefined],
}

for (const [name, [call, disposes, ids]] of Object.entries(THROWN)) {
  test(`what dispose throws is thrown from ${name}, which is done by then`, async (t) => {
    const { store, disposed } = await throwingStore()
    t.throws(() => call(store, () => t.fail('the error was thrown')), {
      message: `dispose of ${disposes[0]}`,
    })
    t.deepEqual(disposed, disposes)
    if (ids !== undefined) t.deepEqual(await store.ids(), ids)
  })
}

for (const [name, [call, disposes, ids]] of Object.entries({
  touch: [(store, fn) => store.touch('a', lasting(HOUR), fn), ['a'], ['a', 'c', 'expired', 'b']],
  all: [(store, fn) => store.all(fn), ['expired'], ['c', 'b', 'a']],
})) {
  test(`what dispose throws goes to the callback of ${name}, which is done by then`, async (t) => {
    const { store, disposed } = await throwingStore()
    const results = await new Promise((resolve) => call(store, (...args) => resolve(args)))
    t.is(results.length, 1)
    t.is(results[0].message, `dispose of ${disposes[0]}`)
    t.deepEqual(disposed, disposes)
    t.deepEqual(await store.ids(), ids)
  })
}

test('after a dispose that threw, nothing is left to dispose of twice', async (t) => {
  const { store, disposed, state } = await throwingStore()
  t.throws(() => store.destroy('a'))
  state.throws = false
  store.destroy('b')
  t.deepEqual(disposed, ['a', 'b'])
  t.true(await isConsistent(store))
})

test('what dispose throws although no call caused it is an uncaught exception', async (t) => {
  const { code, stdout, stderr } = await runScript(`
    const Store = require('.')()
    process.on('uncaughtException', (err) => {
      console.log(err.message)
      store.length((_err, length) => {
        console.log(length)
        clearInterval(alive)
      })
    })
    const dispose = (sid) => { throw new Error('dispose of ' + sid) }
    const store = new Store({ checkPeriod: 5, dispose })
    store.set('a', { cookie: { maxAge: -1 } })
    const alive = setInterval(() => {}, 1000)`)
  t.is(code, 0, stderr)
  t.is(stdout, 'dispose of a\n0\n')
})

// ---- an error of JSON

test('a session that is no JSON gives a SyntaxError that quotes none of it', async (t) => {
  const store = new MemoryStore({ serializer: { stringify: () => 'hunter2', parse: String } })
  await fill(store, 'a')
  store.serializer = JSON
  for (const call of [store.get('a'), store.all(), store.touch('a', lasting(HOUR))]) {
    const error = await t.throwsAsync(call, { instanceOf: SyntaxError })
    t.notRegex(error.stack, /hunter2/)
  }
})

// ---- the debug log

/** Runs every operation with what a log must not show. */
const LOGGED_SCRIPT = `
  const { sid, secret } = JSON.parse(process.env.GIVEN)
  const Store = require('.')()
  const quiet = () => {}
  const session = (maxAge) => ({ cookie: { maxAge, path: secret }, secret })
  const serializers = [JSON, {
    stringify: (value) => Buffer.from(JSON.stringify(value)),
    parse: (value) => JSON.parse(value),
  }, {
    stringify: () => ({ secret }),
    parse: () => { throw new Error(secret) },
  }]
  for (const serializer of serializers) {
    for (const dispose of [undefined, quiet]) for (const returnsText of [false, true]) {
      const ttl = returnsText ? (_options, session) => session.secret : undefined
      const store = new Store({ checkPeriod: 5, serializer, dispose, max: 2, ttl })
      const other = { [secret]: sid }
      for (const each of [sid, other, [sid, other], Symbol(sid)]) {
        store.set(each, session(10_000), quiet)
        store.get(each, quiet)
        store.touch(each, session(20_000), quiet)
        store.destroy(each, quiet)
      }
      store.set(sid, session(-1), quiet)
      store.set(sid + 1, session(1000), quiet)
      store.set(sid + 2, session(1000), quiet)
      for (const method of ['ids', 'all', 'length', 'prune']) store[method](quiet)
      setTimeout(() => {
        store.clear(quiet)
        store.stopInterval()
        store.close()
        store.get(sid, quiet)
      }, 30)
    }
  }`

/** The pieces of \`text\` that occur in \`log\`. */
function leaked(log, text) {
  const pieces = Array.from({ length: text.length - 5 }, (_, at) => text.slice(at, at + 6))
  return pieces.filter((piece) => log.includes(piece))
}

// No hexadecimal digits, so that no piece is one of a hash or of a time by chance.
const unguessable = () =>
  Array.from(randomBytes(32), (byte) => 'GHJKLMNPQRSTUVWXYZghjkmnpqrstuvw'[byte % 32]).join('')

test('the debug log shows no part of a sid or a body', async (t) => {
  const sid = unguessable()
  const secret = unguessable()
  const env = { DEBUG: 'memorystore', DEBUG_COLORS: 'no', GIVEN: JSON.stringify({ sid, secret }) }
  const { code, stdout, stderr } = await runScript(LOGGED_SCRIPT, { env })
  t.is(code, 0, stderr)
  t.is(stdout, '')
  t.deepEqual(leaked(stderr, sid), [])
  t.deepEqual(leaked(stderr, secret), [])
})

test('the debug log names each operation, and a sid by a short hash', async (t) => {
  const sid = unguessable()
  const secret = unguessable()
  const env = { DEBUG: 'memorystore', DEBUG_COLORS: 'no', GIVEN: JSON.stringify({ sid, secret }) }
  const { stderr } = await runScript(LOGGED_SCRIPT, { env })
  const hash = createHash('sha256').update(sid).digest('hex').slice(0, 8)
  for (const word of ['GET', 'SET', 'EXPIRE', 'DEL']) {
    t.regex(stderr, new RegExp(`memorystore ${word} ${hash}`))
  }
  for (const words of [
    'Init',
    'IDs',
    'all',
    'length',
    'Pruning',
    'Starting',
    'Stopping',
    'Delete',
    'Closing',
  ]) {
    t.regex(stderr, new RegExp(words))
  }
})

test('without DEBUG nothing is logged', async (t) => {
  const env = { DEBUG: '', GIVEN: JSON.stringify({ sid: 'a', secret: 'b' }) }
  const { code, stdout, stderr } = await runScript(LOGGED_SCRIPT, { env })
  t.deepEqual({ code, stdout, stderr }, { code: 0, stdout: '', stderr: '' })
})
