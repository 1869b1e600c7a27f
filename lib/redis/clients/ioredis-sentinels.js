'use strict'

/**
 * Asks sentinels where the master is, through ioredis or iovalkey.
 *
 * The libraries could do it by themselves, but their timers keep a process alive for as long as no
 * sentinel answers.
 */

const { IoredisConnection } = require('./ioredis-connection.js')
const { keyOf } = require('./topology.js')
const { within } = require('./time.js')

module.exports = { masterOf, natMapped }

/** How long a sentinel may take to answer, in milliseconds. */
const TIMEOUT = 3000

/**
 * Resolves to the options that lead a client to the master.
 *
 * @param user the user's client
 * @param options how the options of a connection differ from the user's
 */
async function masterOf(user, options) {
  const { sentinels, name, enableTLSForSentinelMode, tls, natMap } = user.options
  let error = new Error('memorystore-rs: no sentinel is named')
  for (const { host, port = 26_379, family } of sentinels) {
    const sentinel = { ...options, ...sentinelOptions(user.options), host, port }
    if (family !== undefined) sentinel.family = family
    try {
      const address = await within(
        TIMEOUT,
        ask(() => user.duplicate(sentinel), name),
      )
      const plain = { sentinels: null, tls: enableTLSForSentinelMode ? tls : undefined }
      return { ...plain, ...natMapped(natMap, address) }
    } catch (err) {
      error = err
    }
  }
  throw error
}

function sentinelOptions({ sentinelUsername, sentinelPassword, sentinelTLS }) {
  return {
    sentinels: null,
    username: sentinelUsername ?? null,
    password: sentinelPassword ?? null,
    tls: sentinelTLS,
    db: 0,
  }
}

async function ask(create, name) {
  let connection
  try {
    const connected = new Promise((up, lost) => {
      connection = new IoredisConnection(create, { up, lost })
    })
    await within(TIMEOUT, connected)
    const reply = connection.call(['sentinel', 'get-master-addr-by-name', name])
    const address = await within(TIMEOUT, reply)
    if (!address) throw new Error('memorystore-rs: the sentinel does not know the master')
    return { host: address[0], port: Number(address[1]) }
  } finally {
    connection.end()
  }
}

/** The address as this process has to use it, of one as the servers tell it. */
function natMapped(natMap, address) {
  const key = keyOf(address)
  const mapped = typeof natMap === 'function' ? natMap(key) : natMap?.[key]
  return mapped ? { host: mapped.host, port: mapped.port } : address
}
