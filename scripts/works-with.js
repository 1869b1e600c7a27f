'use strict'

/**
 * Runs the packed package with the frameworks and tools that people use it with, each in an app of
 * its own: `node scripts/works-with.js`, with the names of rows if not all are meant. `--list`
 * prints the names (with `--titles` the titles), `--markdown` the table of docs/works-with.md. Exits with 1 if a row fails.
 */

const { App, packAll } = require('./works-with/packages.js')
const { table } = require('./works-with/markdown.js')

const GROUPS = {
  Frameworks: require('./works-with/rows/frameworks.js'),
  TypeScript: require('./works-with/rows/typescript.js'),
  'Test runners': require('./works-with/rows/test-runners.js'),
  Bundlers: require('./works-with/rows/bundlers.js'),
  'Package managers': require('./works-with/rows/package-managers.js'),
  'Runtimes and process managers': require('./works-with/rows/runtimes.js'),
  'Starters in example/': require('./works-with/rows/starters.js'),
}

main(process.argv.slice(2))

async function main(args) {
  const names = args.filter((arg) => !arg.startsWith('--'))
  const rows = Object.entries(GROUPS).flatMap(([group, rows]) =>
    rows.map((row) => ({ group, ...row })),
  )
  const unknown = names.filter((name) => !rows.some((row) => row.name === name))
  if (unknown.length > 0) throw new Error(`no such rows: ${unknown.join(', ')}; see --list`)
  const chosen = names.length === 0 ? rows : rows.filter(({ name }) => names.includes(name))
  if (args.includes('--list')) {
    const part = args.includes('--titles') ? 'title' : 'name'
    return console.log(chosen.map((row) => row[part]).join('\n'))
  }

  const results = await runAll(chosen)
  if (args.includes('--markdown')) console.log(table(results))
  if (results.some(({ error }) => error)) process.exitCode = 1
}

async function runAll(rows) {
  const packed = await packAll()
  const results = []
  try {
    for (const row of rows) {
      const result = await run(packed, row)
      results.push(result)
      const said = result.error ? `failed\n${result.error.stack}` : 'ok'
      console.error(`${row.name} ${result.version ?? ''} ${said}`)
    }
  } finally {
    packed.remove()
  }
  return results
}

async function run(packed, row) {
  const { group, title, note } = row
  const result = { group, title, note, date: new Date().toISOString().slice(0, 10) }
  const app = new App(packed, row.name, row)
  try {
    if (row.packages) await app.install(row.packages)
    const version = await row.check(app)
    return { ...result, version: version ?? app.versionOf(row.version) }
  } catch (error) {
    return { ...result, error }
  } finally {
    app.remove()
  }
}
