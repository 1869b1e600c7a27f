'use strict'

/** Versions of Node.js, other runtimes, and PM2, which starts several processes. */

const assert = require('node:assert/strict')
const { createServer } = require('node:net')
const { setTimeout: sleep } = require('node:timers/promises')
const { succeed } = require('../processes.js')
const { client, visit, visitServer } = require('../visit.js')
const { installNode } = require('../node.js')

const EXPRESS = ['express', 'express-session']

module.exports = [
  ...['20.0.0', '20', '22', '24', '26'].map(node),
  runtime('bun', 'Bun', 'bun', 'bin/bun.exe', ['run']),
  runtime('deno', 'Deno', '@deno/linux-x64-glibc', 'deno', ['run', '--allow-all']),
  {
    name: 'pm2',
    title: 'PM2, two processes in cluster mode, with `path`',
    packages: ['pm2', ...EXPRESS],
    version: 'pm2',
    note: 'file.md#cluster-and-pm2',
    check: manyProcesses,
  },
]

function node(version) {
  return {
    name: `node-${version}`,
    title: `Node.js ${version}`,
    packages: EXPRESS,
    async check(app) {
      const { file, version: installed } = await installNode(app, version)
      await visited(app, file, [])
      return installed
    },
  }
}

function runtime(name, title, tool, program, args) {
  return {
    name,
    title,
    packages: [...EXPRESS, tool],
    version: tool,
    async check(app) {
      await visited(app, app.path('node_modules', tool, program), args)
    },
  }
}

function visited(app, file, args) {
  app.copy('gate.cjs', 'express.cjs')
  return visitServer(file, [...args, 'express.cjs'], { cwd: app.folder })
}

async function manyProcesses(app) {
  app.copy('gate.cjs', 'express.cjs')
  const port = await freePort()
  const env = {
    PM2_HOME: app.path('.pm2'),
    SESSIONS_PATH: app.path('sessions'),
    PORT: String(port),
  }
  const pm2 = (...args) => succeed(app.bin('pm2'), args, { cwd: app.folder, env })
  try {
    await pm2('start', 'express.cjs', '-i', '2')
    const url = `http://127.0.0.1:${port}`
    await answers(url)
    await visit({ url })
    const pids = new Set()
    for (let n = 0; n < 200 && pids.size < 2; n++) pids.add((await client(url).get('/pid')).pid)
    assert.equal(pids.size, 2, 'both processes answer')
  } finally {
    await pm2('kill')
  }
}

/** PM2 does not wait until the processes listen. */
async function answers(url) {
  const isThere = () =>
    fetch(url).then(
      () => true,
      () => false,
    )
  const end = Date.now() + 60_000
  while (!(await isThere())) {
    if (Date.now() > end) throw new Error(`nobody listens on ${url}`)
    await sleep(50)
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
