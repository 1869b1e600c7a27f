'use strict'

/** The results as the table of docs/works-with.md. */

module.exports = { table }

function table(results) {
  const groups = [...new Set(results.map(({ group }) => group))]
  return groups.map((group) => section(group, results)).join('\n\n')
}

function section(group, results) {
  const rows = results
    .filter((result) => result.group === group)
    .map(({ title, note, version, date, error }) => {
      const linked = note ? `[${title}](${note})` : title
      return `| ${linked} | ${error ? 'failed' : version} | ${date} |`
    })
  return [`### ${group}`, '', `| With | Version | Run on |`, '| --- | --- | --- |', ...rows].join(
    '\n',
  )
}
