'use strict'

/**
 * For mocha's `--require`: the time of the tests is faked and goes on by itself, to the next timer
 * whenever nothing else is left to do. So a suite that waits for real time does not depend on how
 * busy the machine is.
 */

const FakeTimers = require('@sinonjs/fake-timers')

const clock = FakeTimers.install({
  toFake: ['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
})
clock.setTickMode({ mode: 'nextAsync' })

exports.mochaHooks = { afterAll: () => clock.uninstall() }
