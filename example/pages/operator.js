'use strict'

/** The operator's page: what the store does and has done in the last minutes. */

const { redisUrl } = require('../settings.js')
const { chart } = require('./chart.js')
const { html } = require('./html.js')
const { layout } = require('./layout.js')
const numbers = require('./numbers.js')

module.exports = { operatorPage }

const CHARTS = [
  {
    id: 'sessions',
    title: 'Sessions',
    format: numbers.count,
    series: [
      { name: 'All', of: (sample) => sample.sessions },
      { name: 'Of nobody', of: (sample) => sample.anonymous },
    ],
  },
  {
    id: 'reads',
    title: 'Reads a second',
    format: numbers.rate,
    series: [
      { name: 'Hits', of: (sample) => sample.hits / sample.seconds },
      { name: 'Misses', of: (sample) => sample.misses / sample.seconds },
    ],
  },
  {
    id: 'evictions',
    title: 'Evictions a second',
    format: numbers.rate,
    series: [
      { name: 'All', of: (sample) => evictions(sample) / sample.seconds },
      { name: 'Of users', of: (sample) => sample.evictionsOfUsers / sample.seconds },
    ],
  },
  {
    id: 'memory',
    title: 'Memory of the sessions',
    format: numbers.bytes,
    series: [{ name: 'Bytes', of: (sample) => sample.bytes }],
  },
  {
    id: 'pauses',
    title: 'Pauses of the event loop, and prunes',
    format: numbers.milliseconds,
    fold: (values) => Math.max(...values),
    series: [
      { name: 'Longest pause', of: (sample) => sample.pause },
      { name: 'Last prune, in the background', of: (sample) => sample.prune },
    ],
  },
]

/**
 * @param samples of operator/history.js, oldest first
 * @param minutes how far back they go
 * @param refresh after how many seconds the page comes again, if at all
 */
function operatorPage({ samples, minutes, refresh }) {
  // A process that has told nothing yet is none.
  const told = samples.filter(({ processes }) => processes > 0)
  const content = html`<h1>The session store</h1>
    <p>
      ${subtitle(told, minutes)}
      ${
        refresh === undefined
          ? html`<a href="?refresh">Keep it up to date</a>`
          : html`It comes again every ${refresh} seconds. <a href="?">Stop</a>`
      }
    </p>
    ${told.length === 0 ? html`<p>There are no figures yet.</p>` : figures(told, minutes)}`
  return layout({ title: 'Operator', content, isWide: true, refresh })
}

function subtitle(samples, minutes) {
  const { processes = 0 } = samples.at(-1) ?? {}
  const time = minutes === 1 ? 'minute' : `${minutes} minutes`
  const of = `The last ${time}, of ${processes === 1 ? 'one process' : `${processes} processes`}.`
  return redisUrl ? `${of} Sessions, memory and evictions are those of the near-cache.` : of
}

function figures(samples, minutes) {
  const last = samples.at(-1)
  const [hits, misses] = [sum(samples, 'hits'), sum(samples, 'misses')]
  const lost = sum(samples, 'evictionsOfUsers')
  return html`<dl class="tiles">
      ${tile('Sessions', numbers.count(last.sessions))}
      ${tile('Hit ratio', hits + misses === 0 ? '–' : numbers.percent(hits / (hits + misses)))}
      ${tile('Memory', numbers.bytes(last.bytes))}
      ${tile('Evicted', numbers.count(samples.reduce((total, one) => total + evictions(one), 0)))}
      ${last.evictionsOfUsers !== undefined && tile('Evicted of users', numbers.count(lost), lost > 0)}
      ${tile('Longest pause', numbers.milliseconds(Math.max(...samples.map(({ pause }) => pause))))}
    </dl>
    <div class="charts">
      ${CHARTS.map((one) => chart({ ...one, samples, minutes }))}
      <section>
        <h2>Counted in this time</h2>
        <dl class="rows">
          ${COUNTED.map(
            ([name, figure]) =>
              html`<dt>${name}</dt>
                <dd>${numbers.count(sum(samples, figure))}</dd>`,
          )}
        </dl>
      </section>
    </div>`
}

const COUNTED = [
  ['Sessions written', 'sets'],
  ['Changes of two requests merged', 'merges'],
  ['Writes refused after a logout', 'refusedWrites'],
  ['Sessions renewed', 'touches'],
  ['Expired sessions removed', 'expirations'],
  ['Prunes', 'prunes'],
]

function tile(name, value, isAlarm = false) {
  return html`<div${isAlarm && html` class="alarm"`}><dt>${name}</dt><dd>${value}</dd></div>`
}

function evictions(sample) {
  return sample.evictionsByCount + sample.evictionsByBytes
}

function sum(samples, figure) {
  return samples.reduce((total, sample) => total + (sample[figure] ?? 0), 0)
}
