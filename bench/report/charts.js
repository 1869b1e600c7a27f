'use strict'

/**
 * Charts as SVG text: horizontal bars in groups, and lines. No background, and colours of medium
 * lightness, so that they can be read on GitHub's light theme and on its dark one.
 */

module.exports = { barChart, lineChart }

const WIDTH = 800
const INK = '#768390'
const FAINT = '#76839055'
const FONT = 'ui-sans-serif, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'

const LEFT = 200
const RIGHT = 100
const TOP = 76
const BAR = 13
const GAP = 16

/**
 * @param {object} chart `title`, `subtitle`, `unit`, `log` for a logarithmic axis,
 *   `series: [{ name, color }]`, and `groups: [{ label, values }]` with a value for each series:
 *   a number, a text to show instead of a bar, or undefined for no row at all
 */
function barChart({ title, subtitle, unit, log, series, groups }) {
  const numbers = groups.flatMap(({ values }) => values.filter(Number.isFinite))
  const scale = scaleOf(numbers, WIDTH - LEFT - RIGHT, log, 0)
  const shapes = []
  let y = TOP
  for (const { label, values } of groups) {
    const rows = values.map((value, n) => [value, n]).filter(([value]) => value !== undefined)
    if (rows.length === 0) continue
    shapes.push(text(LEFT - 10, y + (rows.length * BAR) / 2 + 4, label, 'end'))
    for (const [value, n] of rows) {
      const { name, color } = series[n]
      const width = Number.isFinite(value) ? Math.max(1.5, scale.at(value)) : 0
      const shown = Number.isFinite(value) ? `${short(value)} ${unit}` : value
      shapes.push(
        `<g><title>${escape(`${label}, ${name}: ${shown}`)}</title>` +
          `<rect x="${LEFT}" y="${y + 1}" width="${round(width)}" height="${BAR - 2}" rx="1.5" fill="${color}"/>` +
          `${text(LEFT + width + 6, y + BAR - 3, shown, 'start', 11)}</g>`,
      )
      y += BAR
    }
    y += GAP
  }
  const grid = scale.ticks.map(
    (tick) =>
      line(LEFT + scale.at(tick), TOP - 6, LEFT + scale.at(tick), y - GAP + 6) +
      text(LEFT + scale.at(tick), y + 6, short(tick), 'middle', 11),
  )
  const axis = text(WIDTH - RIGHT + 28, y + 6, unit + (log ? ', log' : ''), 'start', 11)
  return svg(y + 16, title, subtitle, series, [...grid, axis, ...shapes])
}

const PLOT = { left: 64, right: 130, top: 96, height: 260 }

/**
 * @param {object} chart `title`, `subtitle`, `xUnit`, `yUnit`, `logY`, and
 *   `series: [{ name, color, points: [[x, y]], stops }]`, where a line that `stops` ends with a
 *   cross; x is logarithmic
 */
function lineChart({ title, subtitle, xUnit, yUnit, logY, series }) {
  const { left, right, top, height } = PLOT
  const points = series.flatMap((each) => each.points)
  const xs = scaleOf(
    points.map(([x]) => x),
    WIDTH - left - right,
    true,
    10,
  )
  const ys = scaleOf(
    points.map(([, y]) => y),
    height,
    logY,
    0,
  )
  const bottom = top + height
  const at = ([x, y]) => [round(left + xs.at(x)), round(bottom - ys.at(y))]

  const grid = [
    ...ys.ticks.map((tick) => {
      const y = bottom - ys.at(tick)
      return line(left, y, WIDTH - right, y) + text(left - 8, y + 4, short(tick), 'end', 11)
    }),
    ...xs.ticks.map((tick) => {
      const x = left + xs.at(tick)
      return line(x, top, x, bottom) + text(x, bottom + 18, short(tick), 'middle', 11)
    }),
    text(16, top - 16, yUnit + (logY ? ', log' : ''), 'start', 11),
    text(WIDTH - right + 28, bottom + 18, xUnit, 'start', 11),
  ]
  const lines = series
    .filter((each) => each.points.length > 0)
    .map(({ name, color, points: own, stops }) => {
      const path = own.map(at)
      const dots = path.map(
        ([x, y], n) =>
          `<circle cx="${x}" cy="${y}" r="3" fill="${color}"><title>${escape(
            `${name}, ${short(own[n][0])}: ${short(own[n][1])} ${yUnit}`,
          )}</title></circle>`,
      )
      const [x, y] = path.at(-1)
      const stop = stops
        ? `<path d="M${x - 6} ${y - 6}l12 12m0 -12l-12 12" stroke="${color}" stroke-width="2.5"/>`
        : ''
      return `<polyline points="${path.join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>${dots.join('')}${stop}`
    })
  return svg(bottom + 32, title, subtitle, series, [...grid, ...lines])
}

function svg(height, title, subtitle, series, shapes) {
  let x = 16
  const legend = series.map(({ name, color }) => {
    const entry = `<rect x="${x}" y="48" width="11" height="11" rx="2" fill="${color}"/>${text(x + 16, 58, name)}`
    x += 34 + name.length * 7
    return entry
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${Math.ceil(height)}" width="${WIDTH}" height="${Math.ceil(height)}" font-family="${FONT}" font-size="12" role="img" aria-label="${escape(title)}">`,
    text(16, 20, title, 'start', 15, INK, 600),
    text(16, 38, subtitle, 'start', 11),
    ...legend,
    ...shapes,
    '</svg>',
    '',
  ].join('\n')
}

/**
 * Maps values to pixels. A linear axis starts at 0; a logarithmic one at the power of ten below
 * the smallest value, or at `least` values apart from it.
 */
function scaleOf(values, pixels, log, least) {
  const highest = Math.max(...values, Number.MIN_VALUE)
  if (!log) {
    const step = stepOf(highest / 5)
    const end = Math.ceil(highest / step) * step
    const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, n) => n * step)
    return { ticks, at: (value) => (Math.max(0, value) / end) * pixels }
  }
  const positive = values.filter((value) => value > 0)
  const low = Math.max(-3, Math.floor(Math.log10(Math.min(...positive, least || highest))))
  const high = Math.max(low + 1, Math.ceil(Math.log10(highest) - 1e-9))
  const ticks = Array.from({ length: high - low + 1 }, (_, n) => 10 ** (low + n))
  const first = least ? Math.log10(Math.min(...positive)) : low
  const start = Number.isFinite(first) ? first : low
  return {
    ticks: ticks.filter((tick) => Math.log10(tick) >= start - 1e-9),
    at: (value) =>
      value > 0 ? Math.max(0, ((Math.log10(value) - start) / (high - start)) * pixels) : 0,
  }
}

/** The smallest of 1, 2, 5, 10, 20, ... that is not below `value`. */
function stepOf(value) {
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 5, 10].find((n) => n * power >= value * 0.999) * power
}

/** Three digits that count, with k and M for what is large. */
function short(value) {
  if (value === 0) return '0'
  for (const [unit, size] of [
    ['M', 1e6],
    ['k', 1e3],
  ]) {
    if (Math.abs(value) >= size) {
      return `${Number((value / size).toPrecision(3))}${unit}`
    }
  }
  return String(Number(value.toPrecision(3)))
}

function text(x, y, content, anchor = 'start', size = 12, fill = INK, weight = 400) {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}" fill="${fill}" font-weight="${weight}">${escape(content)}</text>`
}

function line(x1, y1, x2, y2) {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${FAINT}"/>`
}

function round(number) {
  return Math.round(number * 10) / 10
}

function escape(content) {
  return String(content).replace(
    /[&<>"]/g,
    (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c],
  )
}
