'use strict'

/** Reads the raw results of a run: which were measured for what, their medians and their spread. */

/** The cell of what was not measured. */
const NONE = '–'

module.exports = {
  NONE,
  entriesOf,
  find,
  medianOf,
  lowOf,
  ratiosOf,
  cellOf,
  number,
  thousands,
  digits,
  sizeOf,
}

function entriesOf(report, section) {
  return report.sections[section] ?? []
}

/** The results of one store in one configuration; undefined where it did not take part. */
function find(report, section, store, params) {
  const key = JSON.stringify(params)
  return entriesOf(report, section).find(
    (entry) => entry.store === store && JSON.stringify(entry.params) === key,
  )
}

/** The values at `path` in all rounds, sorted. */
function valuesOf(entry, path) {
  return (entry?.runs ?? [])
    .map((run) => path.reduce((part, key) => part?.[key], run))
    .filter(Number.isFinite)
    .sort((a, b) => a - b)
}

/** The median over the rounds; undefined where there is none. */
function medianOf(entry, path) {
  const values = valuesOf(entry, path)
  if (values.length === 0) return undefined
  const middle = (values.length - 1) / 2
  return (values[Math.floor(middle)] + values[Math.ceil(middle)]) / 2
}

/**
 * The 10th percentile over the rounds, which a busy machine affects least; undefined where there is
 * none.
 */
function lowOf(entry, path) {
  const values = valuesOf(entry, path)
  return values[Math.max(0, Math.ceil(values.length / 10) - 1)]
}

/**
 * How many times what one entry has is that of another one, measured in the same rounds: the ratio
 * of the 10th percentiles (`low`), and the median of the rounds' ratios (`median`).
 */
function ratiosOf(entry, other, path) {
  const at = (run) => path.reduce((part, key) => part?.[key], run)
  const pairs = (entry?.runs ?? []).map((run, n) => at(run) / at(other?.runs[n]))
  const ratios = { runs: pairs.map((ratio) => ({ ratio })) }
  return {
    low: lowOf(entry, path) / lowOf(other, path),
    median: medianOf(ratios, ['ratio']),
  }
}

/** The median and the spread, as a table shows them. */
function cellOf(entry, path) {
  const values = valuesOf(entry, path)
  if (values.length === 0) return NONE
  const median = number(medianOf(entry, path))
  const [low, high] = [number(values[0]), number(values.at(-1))]
  return low === high ? median : `${median} (${low}–${high})`
}

/** Two or three digits that count. */
function number(value) {
  if (Math.abs(value) >= 100) return thousands(Math.round(value))
  return String(Number(value.toPrecision(Math.abs(value) < 0.1 ? 2 : 3)))
}

function thousands(value) {
  return value.toLocaleString('en')
}

/** A count of sessions in short, as file names have it. */
function digits(count) {
  return count >= 1e6 ? `${count / 1e6}m` : `${count / 1e3}k`
}

function sizeOf(bytes) {
  return bytes >= 1024 ? `${bytes / 1024} KB` : `${bytes} B`
}
