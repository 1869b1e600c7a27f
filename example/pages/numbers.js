'use strict'

/** Figures in words. */

module.exports = { bytes, count, milliseconds, percent, rate }

const COUNT = new Intl.NumberFormat('en')
const SHORT = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })
const PERCENT = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1 })

function count(value) {
  return COUNT.format(value)
}

function rate(value) {
  return value >= 100 ? COUNT.format(Math.round(value)) : SHORT.format(value)
}

function percent(value) {
  return PERCENT.format(value)
}

function milliseconds(value) {
  return `${rate(value)} ms`
}

function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let rest = value
  while (rest >= 1000 && units.length > 1) {
    rest /= 1000
    units.shift()
  }
  return `${SHORT.format(rest)} ${units[0]}`
}
