'use strict'

/**
 * The operator's page of the example app: who may see it, what is on it, and the figures behind
 * it. browser.spec.js has it in a browser.
 */

const FakeTimers = require('@sinonjs/fake-timers')
const cluster = require('node:cluster')
const { createHash } = require('node:crypto')
const { EventEmitter } = require('node:events')
const test = require('ava')
const { createFigures } = require('../example/operator/figures.js')
const { LENGTH, createHistory, keep } = require('../example/operator/history.js')
const { gather, sample } = require('../example/operator/sampler.js')
const { chart, scaleTop } = require('../example/pages/chart.js')
const numbers = require('../example/pages/numbers.js')
const createMemoryStore = require('..')
const { isLoginPage, login, makePath, run, start } = require('./helpers/example.js')
const { until } = require('./helpers/until.js')

const TOKEN = 'a token: of 16 or more, ünusual'
const BASIC = basic(`operator:${TOKEN}`)

function basic(text) {
  return `Basic ${Buffer.from(text).toString('base64')}`
}

async function ask(url, authorization = BASIC, signal = undefined) {
  const headers = { connection: 'close' }
  if (authorization !== undefined) headers.authorization = authorization
  const response = await fetch(url, { headers, signal })
  return { status: response.status, headers: response.headers, body: await response.text() }
}

/** The figures at the top of the page, by name. */
function tilesOf({ body }) {
  const found = body.matchAll(/<dt>([^<]+)<\/dt>\s*<dd>([^<]+)<\/dd>/g)
  return Object.fromEntries([...found].map(([, name, value]) => [name, value]))
}

test('without OPERATOR_TOKEN there is no such page', async (t) => {
  const { url } = await start(t)
  t.is((await ask(`${url}/operator`)).status, 404)
  t.is((await ask(`${url}/operator`, basic('operator:'))).status, 404)
})

test('only who has the token sees the page', async (t) => {
  const { url } = await start(t, { OPERATOR_TOKEN: TOKEN })
  for (const path of ['/operator', '/operator/', '/operator?refresh', '/operator/x', '/Operator']) {
    const { status, headers, body } = await ask(url + path, '')
    t.is(status, 401, path)
    t.is(headers.get('www-authenticate'), 'Basic realm="Operator", charset="UTF-8"')
    t.false(body.includes('Sessions'))
  }
  const wrong = [
    basic('operator:'),
    basic(`operator:${TOKEN}x`),
    basic(`operator:${TOKEN.slice(0, -1)}`),
    basic(`operator:${TOKEN.toUpperCase()}`),
    `Bearer ${TOKEN}`,
    'Basic',
    'Basic !',
    TOKEN,
  ]
  for (const authorization of wrong) {
    t.is((await ask(`${url}/operator`, authorization)).status, 401, authorization)
  }
  for (const right of [BASIC, basic(`:${TOKEN}`), basic(`any name:${TOKEN}`)]) {
    t.is((await ask(`${url}/operator`, right)).status, 200)
  }
})

test('an OPERATOR_TOKEN that could be guessed, and wrong OPERATOR_MINUTES, are errors', async (t) => {
  const expected = [
    [
      { OPERATOR_TOKEN: 'x'.repeat(15) },
      'OPERATOR_TOKEN has 15 characters, but has to have 16 or more\n',
    ],
    ...['0', '-1', 'ten', '1441', '1e2'].map((OPERATOR_MINUTES) => [
      { OPERATOR_MINUTES },
      `OPERATOR_MINUTES is "${OPERATOR_MINUTES}", but has to be a number above 0, up to 1440\n`,
    ]),
  ]
  for (const [env, stderr] of expected) {
    t.deepEqual(await run(t, env).ended, { code: 1, signal: null, stdout: '', stderr })
  }
})

test('the page allows nothing but its own style, and is kept nowhere', async (t) => {
  const { url, client } = await start(t, { OPERATOR_TOKEN: TOKEN })
  await login(client, 'Ada')
  const pages = [await ask(`${url}/operator`), await client.get('/'), await client.get('/sessions')]
  for (const { headers, body } of pages) {
    const policy = headers.get('content-security-policy').split('; ')
    const [, style] = /<style>([\s\S]*?)<\/style>/.exec(body)
    const hash = createHash('sha256').update(style).digest('base64')
    t.deepEqual(policy, [
      "default-src 'none'",
      `style-src 'sha256-${hash}'`,
      'img-src data:',
      "form-action 'self'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ])
    t.is(headers.get('cache-control'), 'no-store')
    t.is(headers.get('x-content-type-options'), 'nosniff')
    t.notRegex(body, /<script| on\w+=| style=|javascript:/i)
  }
})

test('the page shows figures, and neither sids nor names', async (t) => {
  // A sample each half second.
  const { url, client } = await start(t, { OPERATOR_TOKEN: TOKEN, OPERATOR_MINUTES: '1' })
  await login(client, 'Ada Lovelace')
  await client.get('/')
  let page
  await until(async () => {
    page = await ask(`${url}/operator`)
    const tiles = tilesOf(page)
    return tiles.Sessions === '1' && tiles['Hit ratio'] === '100%'
  })
  const sid = decodeURIComponent(client.jar.get('memorystore-rs.sid')).slice(2).split('.')[0]
  t.false(page.body.includes(sid))
  t.false(page.body.includes('Ada'))
  t.false(page.headers.has('set-cookie'))
  for (const title of [
    'Sessions',
    'Reads a second',
    'Evictions a second',
    'Pauses of the event loop, and prunes',
  ]) {
    t.true(page.body.includes(`<figcaption>${title}</figcaption>`), title)
  }
})

test('looking at the page counts as no read of a session', async (t) => {
  const { url, client } = await start(t, { OPERATOR_TOKEN: TOKEN, OPERATOR_MINUTES: '0.1' })
  await login(client, 'Ada')
  const headers = {
    authorization: BASIC,
    cookie: `memorystore-rs.sid=${client.jar.get('memorystore-rs.sid')}`,
  }
  const response = await fetch(`${url}/operator`, { headers })
  t.is(response.status, 200)
  // A request with this cookie would be given it anew.
  t.false(response.headers.has('set-cookie'))
})

test('it comes again by itself only if asked to', async (t) => {
  const { url } = await start(t, { OPERATOR_TOKEN: TOKEN })
  const REFRESH = '<meta http-equiv="refresh" content="5"'
  t.false((await ask(`${url}/operator`)).body.includes(REFRESH))
  t.true((await ask(`${url}/operator?refresh`)).body.includes(REFRESH))
})

test('with WORKERS each shows the figures of all, also of one that is killed', async (t) => {
  const env = { SESSIONS_PATH: await makePath(t), WORKERS: '2' }
  const operator = { OPERATOR_TOKEN: TOKEN, OPERATOR_MINUTES: '0.2' }
  const { url, client } = await start(t, { ...env, ...operator })
  await login(client, 'Ada')
  for (let n = 0; n < 4; n++) await client.get('/')

  const answered = new Set()
  await until(async () => {
    const page = await ask(`${url}/operator`)
    const { Sessions } = tilesOf(page)
    // Both see the same session, which is not counted twice.
    if (Sessions === '1' && page.body.includes('of 2 processes')) {
      answered.add(Number(/answered by process (\d+)/.exec(page.body)[1]))
    }
    return answered.size === 2
  })
  const [victim] = answered
  process.kill(victim, 'SIGKILL')
  await until(async () => {
    // node:cluster gives no answer to whom it hands to a worker that has just been killed.
    const page = await ask(`${url}/operator`, BASIC, AbortSignal.timeout(2000)).catch(() => {})
    const pid = Number(/answered by process (\d+)/.exec(page?.body)?.[1])
    return pid > 0 && !answered.has(pid) && page.body.includes('of 2 processes')
  })
  t.false(isLoginPage(await client.get('/')))
})

test('a worker that is gone while a sample is on its way ends nothing else', (t) => {
  const gone = new EventEmitter()
  gone.isConnected = () => true
  // As node:cluster does.
  gone.send = (_message, callback) => {
    const err = new Error('write EPIPE')
    if (callback) callback(err)
    else gone.emit('error', err)
  }
  const clock = FakeTimers.install({ toFake: ['setInterval', 'clearInterval', 'Date'] })
  cluster.workers.gone = gone
  try {
    gather(1000, true)
    t.notThrows(() => clock.tick(1000))
    t.notThrows(() => cluster.emit('online', gone))
  } finally {
    delete cluster.workers.gone
    clock.uninstall()
  }
})

test('figures are those since the last time', async (t) => {
  const store = new (createMemoryStore())({ user: 'name', max: 2 })
  t.teardown(() => store.close())
  await store.set('before', { cookie: {} })
  const take = createFigures(store)
  await store.set('one', { cookie: {}, name: 'Ada' })
  await store.get('one')
  await store.get('none')
  const first = take()
  t.like(first.counts, { sets: 1, hits: 1, misses: 1, evictionsByCount: 0, evictionsOfUsers: 0 })
  t.like(first.gauges, { sessions: 2, anonymous: 1 })
  t.true(first.gauges.bytes > 0)
  t.is(first.pauses.prune, 0)

  await store.set('two', { cookie: {}, name: 'Bob' })
  await store.set('three', { cookie: {}, name: 'Cyd' })
  t.like(take().counts, { sets: 2, hits: 0, evictionsByCount: 2, evictionsOfUsers: 1 })
  await store.prune()
  const { counts, pauses } = take()
  t.is(counts.prunes, 1)
  t.is(pauses.prune, store.stats().lastPruneMs)
  t.is(take().pauses.prune, 0)
})

const figures = (sessions, hits, pause) => ({
  counts: { hits },
  gauges: { sessions, anonymous: undefined, bytes: sessions * 100 },
  pauses: { pause, prune: 0 },
})

test('samples put the processes together: counts added, the longest pause', (t) => {
  const own = createHistory({ isShared: false, now: 0 })
  const shared = createHistory({ isShared: true, now: 0 })
  for (const history of [own, shared]) {
    history.report(1, figures(10, 3, 5))
    history.report(2, figures(7, 4, 2))
  }
  const sample = { at: 2000, seconds: 2, processes: 2, hits: 7, pause: 5, prune: 0 }
  t.deepEqual(own.tick(2000), { ...sample, sessions: 17, bytes: 1700 })
  t.deepEqual(shared.tick(2000), { ...sample, sessions: 10, bytes: 1000 })

  // Nothing is counted twice, and the sessions of who has ended not at all.
  own.forget(1)
  t.like(own.tick(3000), { seconds: 1, processes: 1, sessions: 7 })
  t.is(own.samples.at(-1).hits, undefined)
})

test('a process that tells twice between two samples has all its counts in one', (t) => {
  const history = createHistory({ isShared: false, now: 0 })
  history.report(1, figures(10, 3, 5))
  history.report(1, figures(12, 4, 1))
  t.like(history.tick(1000), { sessions: 12, hits: 7, pause: 5 })
})

test('there are never more samples than fit, the newest ones', (t) => {
  const history = createHistory({ isShared: false, now: 0 })
  for (let at = 1; at <= 3 * LENGTH; at++) history.tick(at)
  t.is(history.samples.length, LENGTH)
  t.is(history.samples[0].at, 2 * LENGTH + 1)

  const copy = []
  keep(copy, history.samples)
  keep(copy, [{ at: 'new' }])
  t.is(copy.length, LENGTH)
  t.is(copy.at(-1).at, 'new')
  t.is(copy[0].at, 2 * LENGTH + 2)
})

test('samples are taken by a timer, until it is stopped', (t) => {
  const store = new (createMemoryStore())()
  t.teardown(() => store.close())
  // Other tests run beside this one, but not before it gives up its turn.
  const clock = FakeTimers.install({ toFake: ['setInterval', 'clearInterval', 'Date'] })
  try {
    const { samples, stop } = sample(store, 5000)
    t.is(samples.length, 1)
    clock.tick(15_000)
    t.is(samples.length, 4)
    t.is(samples[3].at - samples[2].at, 5000)
    stop()
    clock.tick(5000)
    t.is(samples.length, 4)
  } finally {
    clock.uninstall()
  }
})

/** A chart of `values`, a sample each second. */
function draw(values, options) {
  const samples = values.map((value, index) => ({ at: 1e12 + index * 1000, value }))
  const series = [{ name: 'Line', of: ({ value }) => value }]
  return String(
    chart({
      id: 'x',
      title: 'Title',
      series,
      samples,
      minutes: 1,
      format: numbers.count,
      ...options,
    }),
  )
}

test('a chart has a title, a description, its line, and its figures as a table', (t) => {
  const text = draw([0, 5, 10])
  t.regex(text, /role="img"\s+aria-labelledby="x-title x-desc"/)
  t.true(text.includes('<title id="x-title">Title</title>'))
  t.true(text.includes('<desc id="x-desc">Line: 10 now, from 0 to 10.</desc>'))
  // A minute is 100 wide, and 10 is the top.
  t.true(text.includes('d="M96.67 100L98.33 50L100 0"'))
  t.is(text.match(/<td>/g).length, 3)
  t.true(text.indexOf('<td>10</td>') < text.indexOf('<td>0</td>'))
})

test('a chart of one sample is a dot, and one of very many has a short table', (t) => {
  t.true(draw([2]).includes('d="M100 0h0"'))
  const values = Array.from({ length: 120 }, (_, index) => index)
  t.is(draw(values, { fold: (some) => Math.max(...some) }).match(/<td>/g).length, 20)
  t.true(draw(values, { fold: (some) => Math.max(...some) }).includes('<td>119</td>'))
})

test('a chart leaves out what the store does not count, and holes are 0', (t) => {
  const series = [
    { name: 'There', of: ({ value }) => value },
    { name: 'Not there', of: ({ other }) => other / 1 },
  ]
  const text = draw([undefined, 1], { series })
  t.false(text.includes('Not there'))
  t.false(/NaN|undefined/.test(text))
})

test('scales end at round numbers', (t) => {
  const tops = [0, 1, 2, 3, 5, 7, 9, 11, 99, 150, 4001].map(scaleTop)
  t.deepEqual(tops, [2, 2, 2, 4, 6, 8, 10, 20, 100, 200, 6000])
})

test('numbers are short', (t) => {
  t.is(numbers.count(1234567), '1,234,567')
  t.deepEqual([0, 0.123456, 12.345, 1234.5].map(numbers.rate), ['0', '0.123', '12.3', '1,235'])
  t.deepEqual([0, 999, 1000, 52_400_000].map(numbers.bytes), ['0 B', '999 B', '1 kB', '52.4 MB'])
  t.is(numbers.percent(0.98765), '98.8%')
})
