'use strict'

/**
 * Makes servers grow older with a fake clock: when a test turns the clock on, what is stored on the
 * server has so much less to live, and the clock by which the store measures goes on too.
 */

const { spawnSync } = require('node:child_process')

const CLOCK = require.resolve('../../lib/remote/clock.js')
const TIMERS = require.resolve('@sinonjs/fake-timers')

/** Takes so many milliseconds from the life of all keys. ARGV: the milliseconds. */
const SCRIPT = `
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - tonumber(ARGV[1])) end
end
`

/** Sends one command and waits for the reply: in a process of its own, so that nobody can go on. */
const SEND = `
const [port, ...args] = process.argv.slice(1)
const parts = args.map((arg) => '$' + Buffer.byteLength(arg) + '\\r\\n' + arg + '\\r\\n')
const socket = require('node:net').connect(port, '127.0.0.1')
socket.write('*' + args.length + '\\r\\n' + parts.join(''))
socket.once('data', (data) => {
  process.exitCode = data.toString().startsWith('-') ? 1 : 0
  socket.end()
})
`

/**
 * From here on, clocks that tests install by fake timers take the server at `port()` along. To be
 * called before the package is loaded.
 */
function ageServers(port) {
  let age = 0
  let debt = 0
  const clock = require(CLOCK)
  const { monotonic } = clock
  clock.monotonic = () => monotonic() + age

  const timers = require(TIMERS)
  const install = (...args) => {
    const faked = timers.install(...args)
    const { tick } = faked
    faked.tick = (ms) => {
      const milliseconds = real(Number(ms))
      age += milliseconds
      const command = ['EVAL', SCRIPT, '0', String(milliseconds)]
      const sent = spawnSync(process.execPath, ['-e', SEND, port(), ...command])
      if (sent.status !== 0) throw new Error(`the server did not grow older: ${sent.stderr}`)
      return tick(ms)
    }
    return faked
  }
  require.cache[TIMERS].exports = { ...timers, install }

  /**
   * Real time passes too. So that a session is alive after exactly its lifetime, ticks of whole
   * seconds fall a little short; the tick that takes it over its end makes up for that.
   */
  function real(ms) {
    const isWhole = ms > 0 && ms % 1000 === 0
    const milliseconds = isWhole ? ms - SHORT_BY : ms + debt
    debt = isWhole ? debt + SHORT_BY : 0
    return milliseconds
  }
}

/** In milliseconds. */
const SHORT_BY = 400

module.exports = { ageServers }
