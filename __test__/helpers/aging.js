'use strict'

/**
 * Makes servers grow older with a fake clock: when a test turns the clock on, what is stored on the
 * server has so much less to live, and the clock by which the store measures goes on too.
 */

const { Worker } = require('node:worker_threads')

const CLOCK = require.resolve('../../lib/remote/clock.js')
const TIMERS = require.resolve('@sinonjs/fake-timers')

/**
 * Takes so many milliseconds from the life of all keys, and adds them to the age of sessions, by
 * their entries. ARGV: the milliseconds.
 */
const SCRIPT = `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local text = string.find(key, ':entry$') and redis.call('GET', key) or ''
  local created, used, rest = string.match(text, '^{"created":(%d+),"used":(%d+)(.*)$')
  if created then
    local format = '{"created":%.0f,"used":%.0f%s'
    text = string.format(format, created - tonumber(ARGV[1]), used - tonumber(ARGV[1]), rest)
    redis.call('SET', key, text, 'KEEPTTL')
  end
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[1])) end
end
`

/** Sends each message, a command, to the server, and notes in `state` that it was answered. */
const THREAD = `
const { connect } = require('node:net')
const { parentPort, workerData } = require('node:worker_threads')
const { port, state } = workerData
const socket = connect(port, '127.0.0.1')
parentPort.on('message', (args) => {
  const parts = args.map((arg) => '$' + Buffer.byteLength(arg) + '\\r\\n' + arg + '\\r\\n')
  socket.write('*' + args.length + '\\r\\n' + parts.join(''))
})
const answer = (value) => {
  Atomics.store(state, 0, value)
  Atomics.notify(state, 0)
}
socket.on('data', (data) => answer(data.toString().startsWith('-') ? 2 : 1))
socket.on('error', () => answer(2))
`

/** In milliseconds. */
const SHORT_BY = 400

/** How long the server may take to answer, in milliseconds. */
const PATIENCE = 60_000

module.exports = { ageServers }

/**
 * From here on, clocks that tests install by fake timers take the server at `port()` along. To be
 * called before the package is loaded.
 */
function ageServers(port) {
  let age = 0
  let debt = 0
  let send
  const clock = require(CLOCK)
  const { monotonic } = clock
  clock.monotonic = () => monotonic() + age

  const timers = require(TIMERS)
  const install = (...args) => {
    const faked = timers.install(...args)
    const { tick } = faked
    faked.tick = (ms) => {
      send ??= senderTo(port())
      const milliseconds = real(Number(ms))
      age += milliseconds
      send(['EVAL', SCRIPT, '0', String(milliseconds)])
      return tick(ms)
    }
    return faked
  }
  require.cache[TIMERS].exports = { ...timers, install }

  /**
   * Real time passes too. So that a session is alive after exactly its lifetime, or a millisecond
   * before, ticks of whole seconds fall a little short, and those of a millisecond less. The next
   * tick of another length makes up for that.
   */
  function real(ms) {
    const isShort = ms > 0 && [0, 999].includes(ms % 1000)
    const milliseconds = isShort ? ms - SHORT_BY : ms + debt
    debt = isShort ? debt + SHORT_BY : 0
    return milliseconds
  }
}

/** Returns a function that sends a command and waits for the reply: nothing else goes on. */
function senderTo(port) {
  const state = new Int32Array(new SharedArrayBuffer(4))
  const thread = new Worker(THREAD, { eval: true, workerData: { port, state } })
  thread.unref()
  return (args) => {
    Atomics.store(state, 0, 0)
    thread.postMessage(args)
    if (Atomics.wait(state, 0, 0, PATIENCE) === 'timed-out' || Atomics.load(state, 0) !== 1) {
      throw new Error('the server did not grow older')
    }
  }
}
