'use strict'

/**
 * How results come back: by a callback that is called once, later, in the order of the calls,
 * with what was so at the moment of the call; or by a promise where no callback is given. What
 * happens to errors that nobody catches is watched from outside, in child processes.
 */

const { inspect } = require('node:util')
const test = require('ava')

const { runScript } = require('./helpers/process.js')
const { MemoryStore, callbackArguments, until } = require('./helpers/stores.js')

const lasting = { cookie: { maxAge: 3_600_000 } }

/** Every way in which a method can end: its name and arguments, on a store from `build`. */
const CALLS = [
  ['get', 'a'],
  ['get', 'missing'],
  ['get', 'unreadable'],
  ['get', Symbol('sid')],
  ['set', 'a', lasting],
  ['set', 'a', { cookie: {}, n: 1n }],
  ['set', null, lasting],
  ['touch', 'a', lasting],
  ['touch', 'missing', lasting],
  ['touch', 'unreadable', lasting],
  ['touch', undefined, lasting],
  ['destroy', 'a'],
  ['destroy', ['a', 'b']],
  ['destroy', {}],
  ['ids'],
  ['length'],
  ['all'],
  ['clear'],
  ['prune'],
  ['close'],
]

/** The methods of a store that is closed. */
const CLOSED_CALLS = CALLS.filter(
  ([method, sid]) => method !== 'close' && !['missing', 'unreadable'].includes(sid),
)

function build() {
  const parse = (text) => {
    if (text.includes('unreadable')) throw new SyntaxError('unreadable')
    return JSON.parse(text)
  }
  const store = new MemoryStore({ serializer: { stringify: JSON.stringify, parse } })
  store.set('a', lasting)
  store.set('b', lasting)
  return store
}

function buildUnreadable() {
  const store = build()
  store.set('unreadable', { ...lasting, text: 'unreadable' })
  return store
}

function buildClosed() {
  const store = build()
  store.close()
  return store
}

const turns = (count) =>
  count === 0
    ? Promise.resolve()
    : new Promise((resolve) => setImmediate(resolve)).then(() => turns(count - 1))

const show = ([method, ...args]) => `${method}(${args.map((arg) => inspect(arg)).join(', ')})`

function oncePerEnding(name, buildStore, calls) {
  for (const [method, ...args] of calls) {
    test(`${show([method, ...args])} on ${name} calls back once, and later`, async (t) => {
      const store = buildStore()
      let count = 0
      store[method](...args, () => count++)
      t.is(count, 0)
      await Promise.resolve()
      t.is(count, 0)
      await until(() => count > 0)
      await turns(3)
      t.is(count, 1)
    })
  }
}

oncePerEnding('a store', buildUnreadable, CALLS)
oncePerEnding('a closed store', buildClosed, CLOSED_CALLS)

test('callbacks come in the order of the calls, however they end', async (t) => {
  const store = buildUnreadable()
  const order = []
  CALLS.forEach(([method, ...args], index) => store[method](...args, () => order.push(index)))
  await turns(2)
  t.deepEqual(
    order,
    CALLS.map((_, index) => index),
  )
})

test('promises and callbacks of mixed calls come in the order of the calls', async (t) => {
  const store = build()
  const order = []
  const calls = []
  for (let i = 0; i < 20; i += 2) {
    store.get(i % 3 ? 'a' : 'missing', () => order.push(i))
    calls.push(store.length().then(() => order.push(i + 1)))
  }
  await Promise.all(calls)
  t.deepEqual(
    order,
    Array.from({ length: 20 }, (_, index) => index),
  )
})

test('results are those of the moment of the call', async (t) => {
  const store = new MemoryStore()
  store.set('a', { cookie: {}, n: 1 })
  const results = Promise.all([
    callbackArguments(store, 'get', 'a'),
    callbackArguments(store, 'ids'),
    callbackArguments(store, 'length'),
    callbackArguments(store, 'all'),
  ])
  store.set('a', { cookie: {}, n: 2 })
  store.set('b', { cookie: {} })
  store.clear()
  store.close()

  const [get, ids, length, all] = await results
  t.deepEqual(get, [null, { cookie: {}, n: 1 }])
  t.deepEqual(ids, [null, ['a']])
  t.deepEqual(length, [null, 1])
  t.deepEqual(Object.entries(all[1]), [['a', { cookie: {}, n: 1 }]])
})

test('an operation is done when its call returns, not when its callback runs', async (t) => {
  const store = new MemoryStore()
  store.set('a', lasting)
  const length = store.length()
  store.destroy('a')
  const after = store.length()
  t.deepEqual(await Promise.all([length, after]), [1, 0])
})

test('a callback may call the store', async (t) => {
  const store = new MemoryStore()
  const session = await new Promise((resolve) => {
    store.set('a', lasting, () => {
      store.touch('a', lasting, () => {
        store.get('a', (_err, found) => resolve(found))
      })
    })
  })
  t.deepEqual(session, lasting)
})

// ---- promises

test('where the callback is left out, the result comes by a promise', async (t) => {
  const store = new MemoryStore()
  t.is(await store.set('a', lasting), undefined)
  t.deepEqual(await store.get('a'), lasting)
  t.is(await store.get('missing'), undefined)
  t.is(await store.touch('a', lasting), undefined)
  t.deepEqual(await store.ids(), ['a'])
  t.deepEqual(Object.entries(await store.all()), [['a', lasting]])
  t.is(await store.length(), 1)
  t.is(await store.prune(), undefined)
  t.is(await store.destroy('a'), undefined)
  t.is(await store.clear(), undefined)
  t.is(await store.close(), undefined)
})

test('an error rejects the promise', async (t) => {
  const store = buildUnreadable()
  await t.throwsAsync(store.get('unreadable'), { instanceOf: SyntaxError })
  await t.throwsAsync(store.touch('unreadable', lasting), { instanceOf: SyntaxError })
  await t.throwsAsync(store.all(), { instanceOf: SyntaxError })
  await t.throwsAsync(store.set('a', { n: 1n }), { instanceOf: TypeError })
  await t.throwsAsync(store.get(Symbol('sid')), { instanceOf: TypeError })
  await t.throwsAsync(store.destroy(null), { instanceOf: TypeError })
})

test('a callback that is no function counts as left out', async (t) => {
  const store = build()
  for (const fn of [null, undefined, 'callback', {}]) {
    t.deepEqual(await store.get('a', fn), lasting)
    t.is(await store.length(fn), 2)
  }
})

// ---- what nobody catches

const PRELUDE = `
  const Store = require('.')()
  const log = (...args) => console.log(args.join(' '))
`

test('what a callback throws is an uncaught exception, and it is not called again', async (t) => {
  const calls = [
    ...['a', 'missing', null].map((sid) => ['get', sid]),
    ...['a', null].map((sid) => ['set', sid, lasting]),
    ...['a', 'missing', null].map((sid) => ['touch', sid, lasting]),
    ...['a', ['a', 'b'], null].map((sid) => ['destroy', sid]),
    ...['ids', 'length', 'all', 'clear', 'prune', 'close'].map((method) => [method]),
  ]
  const script = `${PRELUDE}
    const calls = ${JSON.stringify(calls)}
    const uncaught = []
    process.on('uncaughtException', (err) => uncaught.push(err.message))
    const counts = calls.map(() => 0)
    const stores = calls.map(([method, ...args], index) => {
      const store = new Store()
      store.set('a', { cookie: {} })
      const before = uncaught.length
      store[method](...args, () => {
        counts[index]++
        throw new Error(method + index)
      })
      if (uncaught.length !== before) log('thrown at once')
      return store
    })
    process.on('exit', () => log(JSON.stringify({ counts, uncaught })))`
  const { code, stdout, stderr } = await runScript(script)

  t.is(code, 0, stderr)
  t.deepEqual(JSON.parse(stdout), {
    counts: calls.map(() => 1),
    uncaught: calls.map(([method], index) => method + index),
  })
})

test('what a callback throws ends the process, as anything that is thrown', async (t) => {
  const { code, stderr } = await runScript(`${PRELUDE}
    new Store().length(() => { throw new Error('from the callback') })`)
  t.is(code, 1)
  t.regex(stderr, /Error: from the callback/)
})

test('a rejected promise that nobody awaits does not bring the process down', async (t) => {
  const { code, stdout, stderr } = await runScript(`${PRELUDE}
    process.on('unhandledRejection', () => log('unhandled'))
    const parse = () => { throw new Error('parse') }
    const store = new Store({ serializer: { stringify: JSON.stringify, parse } })
    store.set('a', { cookie: {} })
    store.get('a')
    store.touch('a', { cookie: {} })
    store.all()
    store.set('a', { n: 1n })
    store.get(Symbol('sid'))
    store.destroy([{}])
    store.close()
    store.get('a')
    setTimeout(() => log('alive'), 50)`)
  t.is(code, 0)
  t.is(stdout, 'alive\n')
  t.is(stderr, '')
})

test('nor does it where rejections are made strict', async (t) => {
  const script = `${PRELUDE} new Store().get(null); setTimeout(() => log('alive'), 50)`
  const args = ['--unhandled-rejections=strict']
  const { code, stdout } = await runScript(script, { args })
  t.is(code, 0)
  t.is(stdout, 'alive\n')
})

test('a promise that somebody handles rejects for them', async (t) => {
  const { stdout } = await runScript(`${PRELUDE}
    process.on('unhandledRejection', (err) => log('unhandled', err.name))
    const promise = new Store().get(null)
    promise.then(() => log('resolved'))
    promise.catch((err) => log('caught', err.name))`)
  t.deepEqual(stdout.trim().split('\n').sort(), ['caught TypeError', 'unhandled TypeError'])
})
