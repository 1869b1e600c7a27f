'use strict'

/**
 * Redis and Valkey servers on free ports of the loopback interface: single ones, clusters, and
 * pairs with a sentinel. They end with the process that started them, and leave no files.
 */

const { spawnSync } = require('node:child_process')
const { once } = require('node:events')
const { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { certificate } = require('./certificate.js')
const { folderOfProcess, spawnGuarded } = require('./guard.js')
const { HOST, freePort } = require('./ports.js')
const { command } = require('./redis-command.js')
const { until } = require('./until.js')

/** The servers that tests run on, and the variables that can name their binaries. */
const KINDS = [
  { name: 'Redis', variable: 'MEMORYSTORE_RS_REDIS_SERVER', program: 'redis-server' },
  { name: 'Valkey', variable: 'MEMORYSTORE_RS_VALKEY_SERVER', program: 'valkey-server' },
]

const HOW_TO_GET = `put ${KINDS.map(({ program }) => program).join(' or ')} on the PATH, or set ${KINDS.map(({ variable }) => variable).join(' or ')}; see CONTRIBUTING.md`

/** What a store needs whose keys begin with `sess:`; ioredis and iovalkey also to subscribe. */
const RULES =
  '~sess:* +get +set +getex +pexpire +persist +pttl +exists +unlink +scan +evalsha +eval ' +
  '+zadd +zrem +zrange +zscan +zremrangebyscore ' +
  '+client|tracking +client|id +ping +hello +time +subscribe &__redis__:invalidate'

const SLOTS = 16_384

/** How the sentinel calls the master. */
const NAME = 'mymaster'

/** The administration does not go through the port: it needs neither TLS nor rights. */
const SOCKET = 'socket'

module.exports = { HOW_TO_GET, KINDS, RULES, servers, startServer, startCluster, startSentinel }

/** Set at the first use. */
let found

/** The servers of this machine: `name`, `version`, `binary`, and whether it `hasTls()`. */
function servers() {
  found ??= KINDS.flatMap(find)
  return found
}

function find({ variable, program }) {
  const named = process.env[variable]
  const binary = named || program
  const { stdout, error } = spawnSync(binary, ['--version'], { encoding: 'utf8' })
  const [, name, version] = /^(\w+) server v=(\S+)/.exec(stdout ?? '') ?? []
  if (version) return [{ name, version, binary, hasTls: () => hasTls(binary) }]
  if (!named) return []
  throw new Error(`${variable} names no server: ${binary}`, { cause: error })
}

/** Whether the server was built with TLS. It says so before it asks for a certificate. */
function hasTls(binary) {
  const { stdout } = spawnSync(binary, ['--port', '0', '--tls-port', '1'], { encoding: 'utf8' })
  return stdout.includes('No tls-cert-file configured')
}

function anyBinary() {
  const [server] = servers()
  if (server) return server.binary
  throw new Error(`There is no server: ${HOW_TO_GET}`)
}

/**
 * Starts a server without persistence, in which clients find `url`.
 *
 * @param {object} [options]
 * @param {string} [options.binary] the first of `servers()` by default
 * @param {string[]} [options.args] more arguments
 * @param {boolean} [options.tls] clients have to use TLS and to trust `ca`
 * @param {boolean | string} [options.acl] clients are a user that may do no more than these rules
 *   (true: than `RULES`) allow
 */
async function startServer({ binary, args = [], tls = false, acl = false } = {}) {
  const { cert, key, ca } = tls ? await certificate() : {}
  const server = await launch(binary, (port, folder) => {
    const users = join(folder, 'users.acl')
    if (acl) writeFileSync(users, `user app on >secret ${acl === true ? RULES : acl}\n`)
    return [
      ...(tls ? ['--port', 0, '--tls-port', port] : ['--port', port]),
      ...(tls ? ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert] : []),
      ...(tls ? ['--tls-auth-clients', 'no'] : []),
      ...(acl ? ['--aclfile', users] : []),
      ...['--bind', HOST, '--dir', folder, '--unixsocket', join(folder, SOCKET)],
      ...['--save', '', '--appendonly', 'no'],
      // Replicas count as ready after the first ping.
      ...['--repl-diskless-sync-delay', 0, '--repl-ping-replica-period', 1],
      ...args,
    ]
  })
  const user = acl ? 'app:secret@' : ''
  return { ...server, ca, url: `${tls ? 'rediss' : 'redis'}://${user}${HOST}:${server.port}` }
}

/**
 * Starts a cluster of `count` masters, each with so many `replicas`; resolves when all nodes serve.
 * Further options are those of `startServer`.
 */
async function startCluster(count = 3, { replicas = 0, args = [], ...options } = {}) {
  const clustered = [
    ...['--cluster-enabled', 'yes', '--cluster-node-timeout', 1500],
    ...['--cluster-announce-ip', HOST],
  ]
  const nodes = await Promise.all(
    Array.from({ length: count * (1 + replicas) }, () =>
      startServer({ ...options, args: [...clustered, ...args] }),
    ),
  )
  const masters = nodes.slice(0, count)
  const [first, ...others] = nodes
  for (const [index, node] of nodes.entries()) {
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
  }
  for (const [index, master] of masters.entries()) {
    const slots = Array.from({ length: SLOTS }, (_, slot) => slot)
    const own = slots.filter((slot) => Math.floor((slot * count) / SLOTS) === index)
    await master.command('CLUSTER', 'ADDSLOTS', ...own)
  }
  for (const node of others) await node.command('CLUSTER', 'MEET', HOST, first.port)
  await allOf(nodes, async (node) => (await infoOf(node)).cluster_known_nodes === `${nodes.length}`)
  for (const [index, node] of nodes.slice(count).entries()) {
    const id = await masters[index % count].command('CLUSTER', 'MYID')
    await node.command('CLUSTER', 'REPLICATE', id)
  }
  await allOf(nodes.slice(count), followsAMaster)
  await allOf(nodes, async (node) => {
    const ranges = await node.command('CLUSTER', 'SLOTS')
    const isWhole = ranges.every(([, , ...holders]) => holders.length === 1 + replicas)
    return isWhole && (await infoOf(node)).cluster_state === 'ok'
  })

  /** The server that has the key, as another one says: the first that is up. */
  async function ownerOf(key) {
    const asked = nodes.find((node) => node.isUp())
    const slot = await asked.command('CLUSTER', 'KEYSLOT', key)
    const ranges = await asked.command('CLUSTER', 'SLOTS')
    const range = ranges.find(([from, to]) => from <= slot && slot <= to)
    return nodes.find(({ port }) => port === range?.[2][1])
  }
  return {
    nodes,
    masters,
    replicas: nodes.slice(count),
    urls: nodes.map(({ url }) => url),
    ownerOf,
    kill: () => Promise.all(nodes.map((node) => node.kill())),
  }
}

async function allOf(nodes, condition) {
  for (const node of nodes) await until(() => condition(node))
}

async function infoOf(node) {
  const lines = (await node.command('CLUSTER', 'INFO')).split('\r\n')
  return Object.fromEntries(lines.map((line) => line.split(':')))
}

async function followsAMaster(server) {
  const [role, , , link] = await server.command('ROLE')
  return role === 'slave' && link === 'connected'
}

/**
 * Starts a master, a replica, and a sentinel that watches them; resolves when it could fail over.
 * Options are those of `startServer`. `current()` is the server that the sentinel has for the
 * master.
 */
async function startSentinel({ binary, args = [], ...options } = {}) {
  const master = await startServer({ ...options, binary, args })
  const follow = ['--replicaof', HOST, master.port]
  const replica = await startServer({ ...options, binary, args: [...args, ...follow] })
  await until(() => followsAMaster(replica))
  const sentinel = await launch(binary, (port, folder) => {
    const file = join(folder, 'sentinel.conf')
    // The sentinel writes into it what it learns.
    writeFileSync(
      file,
      [
        ...[`port ${port}`, `bind ${HOST}`, `dir "${folder}"`, `unixsocket "${SOCKET}"`],
        `sentinel monitor ${NAME} ${HOST} ${master.port} 1`,
        `sentinel down-after-milliseconds ${NAME} 1500`,
        `sentinel failover-timeout ${NAME} 5000`,
        '',
      ].join('\n'),
    )
    return [file, '--sentinel']
  })
  await until(async () => {
    const [fields = []] = await sentinel.command('SENTINEL', 'REPLICAS', NAME)
    const valueOf = (name) => fields[fields.indexOf(name) + 1]
    return valueOf('flags') === 'slave' && valueOf('master-link-status') === 'ok'
  })

  async function current() {
    const [, port] = await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)
    return [master, replica].find((server) => server.port === Number(port))
  }

  /**
   * Makes the replica the master; resolves with it. The old master does not know of it yet: it
   * takes writes, which will be lost, until the sentinel makes it a replica some seconds later.
   */
  async function failover() {
    const before = await current()
    await until(() => sentinel.command('SENTINEL', 'FAILOVER', NAME).then(() => true, isTooEarly))
    await until(async () => (await current()) !== before)
    const after = await current()
    await until(async () => (await after.command('ROLE'))[0] === 'master')
    return after
  }
  return {
    ...{ master, replica, sentinel, name: NAME, port: sentinel.port, current, failover },
    kill: () => Promise.all([sentinel, master, replica].map((server) => server.kill())),
  }
}

/** False, so that it is tried again, where the sentinel is not ready; other errors are thrown. */
function isTooEarly(error) {
  if (/^(NOGOODSLAVE|INPROG)/.test(error.message)) return false
  throw error
}

/** Starts a binary with the arguments for a free port and a folder. */
async function launch(binary = anyBinary(), argumentsFor) {
  for (;;) {
    const port = await freePort()
    const folder = mkdtempSync(join(folderOfProcess(), 'server-'))
    const server = serverOf(binary, argumentsFor(port, folder), { port, folder })
    try {
      await server.restart()
      return server
    } catch (error) {
      // Another process was faster.
      if (!/address already in use/i.test(error.message)) throw error
    }
  }
}

function serverOf(binary, args, { port, folder }) {
  const address = { path: join(folder, SOCKET) }
  const logFile = join(folder, 'log')
  let child
  let isStopped = false

  const isRunning = () => child?.pid !== undefined && !hasEnded(child)
  const send = (...args) => command(address, args)

  /** Kills the server, and resolves when it is gone. The signal is sent before this returns. */
  async function kill() {
    if (!isRunning()) return
    child.kill('SIGKILL')
    child.ref()
    await once(child, 'exit')
  }

  /** Starts the server again, after `kill()` if it runs: on the same port, and empty. */
  async function restart() {
    await kill()
    isStopped = false
    const log = openSync(logFile, 'w')
    child = spawnGuarded(binary, args.map(String), { cwd: folder, stdio: ['ignore', log, log] })
    closeSync(log)
    let failure
    child.once('error', (error) => (failure = error))
    await until(async () => {
      if (failure) throw failure
      if (!isRunning()) throw new Error(`${binary} has ended: ${readFileSync(logFile, 'utf8')}`)
      return send('PING').then(
        (reply) => reply === 'PONG',
        () => false,
      )
    })
  }

  return {
    port,
    /** Changes with each start. */
    pid: () => child.pid,
    log: () => readFileSync(logFile, 'utf8'),
    /** False once it was killed, and between `stop` and `cont`. */
    isUp: () => isRunning() && !isStopped,
    kill,
    restart,
    /** Stops the process: its connections stay, nothing is answered. Resolves when it does. */
    async stop() {
      isStopped = true
      child.kill('SIGSTOP')
      await until(() => stateOf(child.pid) === 'T')
    },
    /** Lets the process go on, with all that came in the meantime. */
    cont() {
      child.kill('SIGCONT')
      isStopped = false
    },
    /** Sends a command as the administrator. Resolves with the reply. */
    command: send,
  }
}

function hasEnded({ exitCode, signalCode }) {
  return exitCode !== null || signalCode !== null
}

/** The letter that the operating system has for what the process does. */
function stateOf(pid) {
  // Linux without `ps` is common, in containers.
  if (process.platform === 'linux') return /.*\) (\w)/s.exec(readFileSync(`/proc/${pid}/stat`))[1]
  return spawnSync('ps', ['-o', 'state=', '-p', pid], { encoding: 'utf8' }).stdout.trim()[0]
}
