'use strict'

// `watch` with very many sessions: however many are watched, and however much ends at once, the
// engine is asked about a few in each turn of the event loop, and a few ends are told of.

// Captured before any fake timers are installed.
const { setImmediate } = require('node:timers')
const test = require('ava')

const { Watches } = require('../lib/watch.js')
const { hastily, patiently } = require('./helpers/hastily.js')
const { until } = require('./helpers/stores.js')
const { turnCounter } = require('./helpers/turn-counter.js')

const SIDS = Array.from({ length: 10_000 }, (_, i) => `sid-${i}`)

/** The most that is done in one turn. */
const MOST_A_TURN = 250

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Watches on an engine in which all sessions are alive but those in `dead`. */
function watchesOf(t) {
  const [asked, told] = [turnCounter(t), turnCounter(t)]
  const dead = new Set()
  const times = new Map()
  const engine = {
    ended(keys) {
      asked.add(keys.length)
      for (const key of keys) times.set(key, (times.get(key) ?? 0) + 1)
      return keys.filter((key) => dead.has(key))
    },
  }
  const watches = new Watches({ isOpen: true, engine })
  t.teardown(() => watches.close())
  return { watches, asked, told, dead, times }
}

test('of 10,000 sessions that are watched at once, few are asked about in a turn', async (t) => {
  const { watches, asked, times } = watchesOf(t)
  patiently(() => SIDS.forEach((sid) => watches.watch(sid, () => {})))
  await until(() => times.size === SIDS.length)
  t.is(asked.most(), MOST_A_TURN)
  t.true([...times.values()].every((count) => count === 1))
})

test('few are asked about in a turn if more come in every turn', async (t) => {
  const { watches, asked, times } = watchesOf(t)
  for (let at = 0; at < SIDS.length; at += 1000) {
    patiently(() => SIDS.slice(at, at + 1000).forEach((sid) => watches.watch(sid, () => {})))
    await turn()
  }
  await until(() => times.size === SIDS.length)
  t.is(asked.most(), MOST_A_TURN)
})

test('few are asked about, and told of, in a turn while very many sessions are ended', async (t) => {
  const { watches, asked, told, dead, times } = watchesOf(t)
  let ended = 0
  const hear = () => told.add(1, ended++)
  patiently(() => SIDS.forEach((sid) => watches.watch(sid, hear)))
  await until(() => times.size === SIDS.length)
  for (const sid of SIDS) {
    dead.add(sid)
    if (dead.size % 50 > 0) continue
    // As `destroyUser` does after each of its steps.
    watches.askNow()
    await turn()
  }
  // What ended after it was asked about is asked about once more.
  await until(() => ended === SIDS.length)
  t.is(asked.most(), MOST_A_TURN)
  t.true(told.most() <= MOST_A_TURN, `${told.most()}`)
})

test('each time that the timer asks, all are asked about, few in a turn', async (t) => {
  const { watches, asked, dead, times } = watchesOf(t)
  const heard = new Set()
  hastily(() => SIDS.forEach((sid) => watches.watch(sid, () => heard.add(sid))))
  await until(() => [...times.values()].filter((count) => count > 1).length === SIDS.length)
  for (const sid of SIDS.slice(0, 10)) dead.add(sid)
  await until(() => heard.size === 10)
  t.deepEqual([...heard], SIDS.slice(0, 10))
  t.is(asked.most(), MOST_A_TURN)
})
