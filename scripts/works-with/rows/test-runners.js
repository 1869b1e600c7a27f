'use strict'

/** Test runners: stores in memory, by name and on a path, fake timers, modules that are reset. */

const { succeed } = require('../processes.js')

module.exports = [
  {
    name: 'jest',
    title: 'Jest, with fake timers and `resetModules`',
    packages: ['jest', 'express-session'],
    version: 'jest',
    async check(app) {
      app.copy(['tests/jest.test.cjs', 'store.test.js'])
      await passes(app, app.bin('jest'), [], /Tests: +4 passed, 4 total/)
    },
  },
  {
    name: 'vitest',
    title: 'Vitest, pools `threads`, `forks` and `vmThreads`',
    packages: ['vitest', 'express-session'],
    version: 'vitest',
    async check(app) {
      for (const n of [1, 2, 3]) app.copy(['tests/vitest.test.mjs', `store${n}.test.mjs`])
      for (const pool of ['threads', 'forks', 'vmThreads']) {
        await passes(app, app.bin('vitest'), ['run', `--pool=${pool}`], /Tests +9 passed/)
      }
    },
  },
  {
    name: 'mocha',
    title: 'mocha',
    packages: ['mocha', 'express-session'],
    version: 'mocha',
    async check(app) {
      app.copy(['tests/plain.test.cjs', 'store.test.cjs'])
      await passes(app, app.bin('mocha'), ['store.test.cjs'], /3 passing/)
    },
  },
  {
    name: 'node-test',
    title: 'node:test, with mocked timers',
    packages: ['express-session'],
    async check(app) {
      app.copy(['tests/node.test.cjs', 'store.test.cjs'])
      await passes(app, process.execPath, ['--test'], /pass 4\n[^]*fail 0\n/)
      return `Node.js ${process.versions.node}`
    },
  },
]

/** The tests pass, all of them, and the process ends by itself. */
async function passes(app, file, args, pattern) {
  const { stdout, stderr } = await succeed(file, args, { cwd: app.folder })
  if (!pattern.test(stdout + stderr)) throw new Error(`${pattern} is not in:\n${stdout}${stderr}`)
}
