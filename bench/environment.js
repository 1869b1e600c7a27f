'use strict'

/** What the figures depend on: the machine and the versions, without anything that names it. */

const { readFileSync } = require('node:fs')
const os = require('node:os')
const { servers } = require('../__test__/helpers/redis-servers.js')
const { packageVersion, OURS } = require('./stores.js')

module.exports = { environment, redisServer, heapFlag }

const PACKAGES = [
  'memorystore',
  'express-session',
  'connect-redis',
  'redis',
  'lru-cache',
  'quick-lru',
  'keyv',
  'lmdb',
  'express',
  'autocannon',
]

function environment() {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    os: `${distribution()}, ${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    v8: process.versions.v8,
    versions: {
      [OURS]: require('../package.json').version,
      ...Object.fromEntries(PACKAGES.map((name) => [name, packageVersion(name) ?? null])),
      'redis-server': redisServer()?.version ?? null,
    },
    heapFlag: heapFlag(),
  }
}

function distribution() {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))[1]
  } catch {
    return os.version()
  }
}

/** The redis-server that connect-redis is measured with; undefined where there is none. */
function redisServer() {
  return servers().find(({ name }) => name === 'Redis')
}

/** The heap that every store's process gets, in all measurements but growth. */
function heapFlag() {
  return `--max-old-space-size=${Math.floor((os.totalmem() / 2 ** 20) * 0.7)}`
}
