'use strict'

/** Runs the tests of a spec in Chromium, if this machine has it. */

const { existsSync } = require('node:fs')
const { delimiter, join, relative } = require('node:path')
const { fileURLToPath } = require('node:url')
const test = require('ava')
const { chromium } = require('playwright-core')
const { ROOT } = require('./process.js')

module.exports = { onChromium, startBrowser }

const VARIABLE = 'MEMORYSTORE_RS_CHROMIUM'
const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const HOW_TO_GET = `put chromium on the PATH, or set ${VARIABLE}; see CONTRIBUTING.md`

/** How long anything in the browser may take: it only ends what would hang. */
const PATIENCE = 5 * 60_000

/**
 * Calls `register(test)` if there is a Chromium. Otherwise the spec has one test, which is
 * skipped, or fails where MEMORYSTORE_RS_REQUIRE_CHROMIUM=1.
 */
function onChromium(register) {
  if (program() !== undefined) {
    register(test)
  } else if (process.env.MEMORYSTORE_RS_REQUIRE_CHROMIUM === '1') {
    test('Chromium is there', (t) => t.fail(HOW_TO_GET))
  } else {
    const spec = relative(ROOT, fileURLToPath(test.meta.file))
    test.skip(`${spec} was left out, without a browser: ${HOW_TO_GET}`, () => {})
  }
}

function program() {
  const named = process.env[VARIABLE]
  if (named) return named
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return PROGRAMS.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync)
}

/** Starts a browser without a window. It is killed when the test `t` ends, even if it hangs. */
async function startBrowser(t) {
  t.timeout(2 * PATIENCE)
  // Without /dev/shm, which is small in containers.
  const args = ['--disable-dev-shm-usage']
  const server = await chromium.launchServer({
    executablePath: program(),
    args,
    timeout: PATIENCE,
  })
  t.teardown(() => server.kill())
  const browser = await chromium.connect(server.wsEndpoint(), { timeout: PATIENCE })

  /** A device: a context with cookies of its own. Collects what its pages complain of. */
  return async function open(options) {
    const context = await browser.newContext(options)
    context.setDefaultTimeout(PATIENCE)
    const page = await context.newPage()
    const problems = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text())
    })
    page.on('pageerror', (err) => problems.push(String(err)))
    page.on('requestfailed', (request) => problems.push(`${request.url()} failed`))
    return { page, problems }
  }
}
