'use strict'

/** Times in words. */

module.exports = { ago, date }

const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const DATE = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'medium',
  timeStyle: 'short',
  timeZone: 'UTC',
})

const UNITS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
]

/** Such as "5 minutes ago". */
function ago(then, now) {
  const seconds = Math.max(0, Math.floor((now - then) / 1000))
  const unit = UNITS.find(([, size]) => seconds >= size)
  if (unit === undefined) return seconds < 10 ? 'just now' : RELATIVE.format(-seconds, 'second')
  const [name, size] = unit
  return RELATIVE.format(-Math.floor(seconds / size), name)
}

/** Such as "26 Nov 2026, 15:40 UTC". */
function date(time) {
  return `${DATE.format(time)} UTC`
}
