'use strict'

/** A device in plain words, as far as its User-Agent tells. */

const Bowser = require('bowser')

/** How much of a User-Agent is worth keeping in a session. */
const MAX_AGENT = 256

const KINDS = { mobile: 'phone', tablet: 'tablet', tv: 'TV' }

module.exports = { MAX_AGENT, describeDevice }

/** Such as "Firefox on Windows", "Chrome on Android, phone", or "curl". */
function describeDevice(agent) {
  if (!agent) return 'Unknown device'
  const { browser, os, platform } = Bowser.parse(agent)
  // Of programs that are no browsers only the name at the beginning is told.
  if (!os.name) return /^[\w.-]{1,40}/.exec(agent)?.[0] ?? 'Unknown device'

  const name = browser.name || 'Unknown browser'
  if (/^i(Phone|Pad)/.test(platform.model)) return `${name} on ${platform.model}`
  const kind = KINDS[platform.type]
  return kind ? `${name} on ${os.name}, ${kind}` : `${name} on ${os.name}`
}
