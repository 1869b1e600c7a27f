'use strict'

/**
 * A chart of lines as SVG: only the plot stretches, so its labels are HTML and stay readable on a
 * phone. Who cannot see it has a description of it, and all its figures as a table.
 */

const { html } = require('./html.js')

module.exports = { chart, scaleTop }

/** The plot is this wide and high, in its own units; the style says how large it is. */
const SIZE = 100

/** About how many rows a table has. */
const ROWS = 20

/**
 * @param series each with a `name` and `of`, which gives the value of a sample, undefined or NaN
 *   where the store does not have this figure
 * @param format gives a value as text
 * @param fold gives one value for those of several samples, in the table
 */
function chart({ id, title, series, samples, minutes, format, fold = average }) {
  const lines = series
    .map(({ name, of }) => ({ name, values: samples.map(of) }))
    .filter(({ values }) => Number.isFinite(values.at(-1)))
    .map(({ name, values }) => ({ name, values: values.map((value) => value || 0) }))
  const top = scaleTop(Math.max(...lines.flatMap(({ values }) => values)))
  const end = samples.at(-1).at
  const xs = samples.map(({ at }) => SIZE - ((end - at) / (minutes * 60_000)) * SIZE)
  return html`<figure>
    <figcaption>${title}</figcaption>
    <ul class="legend">
      ${lines.map(legend(format))}
    </ul>
    <div class="plot">
      <div class="scale" aria-hidden="true">
        <span>${format(top)}</span><span>${format(top / 2)}</span><span>0</span>
      </div>
      <svg
        viewBox="0 0 ${SIZE} ${SIZE}"
        preserveAspectRatio="none"
        role="img"
        aria-labelledby="${id}-title ${id}-desc"
      >
        <title id="${id}-title">${title}</title>
        <desc id="${id}-desc">${lines.map((line) => describe(line, format)).join(' ')}</desc>
        <path class="grid" d="M0 0H100M0 50H100M0 100H100" />
        ${lines.map(({ values }, index) => html`<path class="line line-${index}" d="${path(xs, values, top)}" />`)}
      </svg>
      <div class="ends" aria-hidden="true"><span>${minutes} min ago</span><span>now</span></div>
    </div>
    <details>
      <summary>${title} as a table</summary>
      ${table(title, lines, samples, format, fold)}
    </details>
  </figure>`
}

function legend(format) {
  return ({ name, values }, index) =>
    html`<li>
      <svg class="key" viewBox="0 0 20 4" aria-hidden="true">
        <path class="line line-${index}" d="M0 2H20" />
      </svg>
      ${name} <b>${format(values.at(-1))}</b>
    </li>`
}

function describe({ name, values }, format) {
  const [min, max] = [Math.min(...values), Math.max(...values)]
  return `${name}: ${format(values.at(-1))} now, from ${format(min)} to ${format(max)}.`
}

/** A line. One value alone is a dot. */
function path(xs, values, top) {
  const points = values.map(
    (value, index) => `${round(xs[index])} ${round(SIZE - (value / top) * SIZE)}`,
  )
  return `M${points.join('L')}${points.length === 1 ? 'h0' : ''}`
}

function round(value) {
  return Math.round(value * 100) / 100
}

/** A round number that is not less than `max`, with a round half. */
function scaleTop(max) {
  if (max <= 2) return 2
  const power = 10 ** Math.floor(Math.log10(max))
  return [1, 2, 4, 6, 8, 10].find((step) => step * power >= max) * power
}

function table(title, lines, samples, format, fold) {
  const size = Math.ceil(samples.length / ROWS)
  const rows = []
  for (let end = samples.length; end > 0; end -= size) {
    const cells = lines.map(({ values }) =>
      format(fold(values.slice(Math.max(0, end - size), end))),
    )
    rows.push([new Date(samples[end - 1].at).toISOString(), cells])
  }
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Time, UTC</th>
        ${lines.map(({ name }) => html`<th scope="col">${name}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        ([time, cells]) =>
          html`<tr>
            <th scope="row"><time datetime="${time}">${time.slice(11, 19)}</time></th>
            ${cells.map((cell) => html`<td>${cell}</td>`)}
          </tr>`,
      )}
    </tbody>
  </table>`
}

function average(values) {
  return values.reduce((total, value) => total + value, 0) / values.length
}
