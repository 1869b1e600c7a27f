'use strict'

/** What the sections of the report are put together from: names and colours, tables, bars. */

const {
  STORES,
  OURS,
  PATH,
  REDIS,
  REDIS_TUNED,
  OURS_REDIS,
  FLOOR,
  LRU_CACHE,
} = require('../stores.js')
const { entriesOf, find, sizeOf, thousands } = require('./summary.js')

const LOOKS = {
  [OURS]: { name: 'memorystore-rs', color: '#e8590c' },
  [PATH]: { name: 'memorystore-rs, path', color: '#b08800' },
  memorystore: { name: 'memorystore', color: '#4c7fd9' },
  MemoryStore: { name: 'express-session MemoryStore', color: '#a06cd5' },
  [LRU_CACHE]: { name: 'lru-cache', color: '#0b7285' },
  'quick-lru': { name: 'quick-lru', color: '#66a80f' },
  keyv: { name: 'keyv', color: '#e64980' },
  'node:sqlite': { name: 'node:sqlite', color: '#495057' },
  lmdb: { name: 'lmdb', color: '#862e9c' },
  [REDIS]: { name: 'connect-redis', color: '#2f9e77' },
  [REDIS_TUNED]: { name: 'connect-redis, tuned', color: '#7fcbb0' },
  [OURS_REDIS]: { name: 'memorystore-rs, Redis', color: '#c92a2a' },
  [FLOOR]: { name: 'floor: JSON and callback', color: '#8b949e' },
}

const NAMES = Object.keys(STORES)

module.exports = {
  LOOKS,
  NAMES,
  bars,
  configurations,
  present,
  failures,
  nameOf,
  sessionsOf,
  table,
  inFlight,
  processesOf,
}

/** Series and groups of a bar chart, without the stores that have nothing to show. */
function bars(stores, labels, valueOf, titles = {}) {
  const shown = stores.filter((store) => labels.some((l) => valueOf(store, l) !== undefined))
  return {
    series: shown.map((store) => LOOKS[store]),
    groups: labels.map((label) => ({
      label: titles[label] ?? label,
      values: shown.map((store) => valueOf(store, label)),
    })),
  }
}

/** The configurations of a section, in the order in which they were measured. */
function configurations(report, section) {
  const texts = entriesOf(report, section).map((e) => JSON.stringify(e.params))
  return [...new Set(texts)].map((each) => JSON.parse(each))
}

function present(report, section, params) {
  return NAMES.filter((store) => find(report, section, store, params))
}

/** What went wrong, as a list. */
function failures(report, section, params, about) {
  return entriesOf(report, section)
    .filter((e) => e.failed && JSON.stringify(e.params) === JSON.stringify(params))
    .map((e) => `- ${nameOf(e.store)}${about ? `, ${about}` : ''}: ${e.failed}`)
    .join('\n')
}

function nameOf(store) {
  return LOOKS[store].name
}

function table(header, rows) {
  const line = (cells) => `| ${cells.map((c) => String(c).replaceAll('|', '\\|')).join(' | ')} |`
  const align = header.map((_, n) => (n === 0 ? '---' : '--:'))
  return [line(header), line(align), ...rows.map(line)].join('\n')
}

function inFlight(window) {
  return window === 1 ? 'one at a time' : `${window} in flight`
}

function processesOf(number) {
  return `${number} process${number === 1 ? '' : 'es'}`
}

/** How many sessions of which kind a configuration has. */
function sessionsOf({ count, size, sessions, cookie }) {
  const what =
    sessions === 'realistic'
      ? `realistic sessions of ${sizeOf(size)} on average`
      : `sessions of ${sizeOf(size)}`
  const objects = cookie === 'express' ? ", with express-session's Cookie objects" : ''
  return `${thousands(count)} ${what}${objects}`
}
