'use strict'

/** Programs that end, and servers that are started and stopped. */

const { execFile, spawn } = require('node:child_process')
const { once } = require('node:events')

/** What takes longer hangs. */
const TIMEOUT = 5 * 60_000

/** Where a server says that it listens, and where its gate is; see apps/gate.cjs. */
const LISTENS = /listening on (http:\/\/\S+?:\d+)(?:, gate on (http:\S+))?/

module.exports = { environment, serve, succeed }

/** Nothing of the checkout, of the npm that runs the script, or of the user's own options. */
function environment(more = {}) {
  const left = Object.entries(process.env).filter(
    ([name]) => !/^npm_|^MEMORYSTORE_RS_|^NODE_OPTIONS$|^NODE_ENV$/i.test(name),
  )
  return { ...Object.fromEntries(left), NO_COLOR: '1', CI: 'true', ...more }
}

/** Runs a program that has to exit with 0. Resolves with what it printed. */
function succeed(file, args, { env, ...options } = {}) {
  const limits = { timeout: TIMEOUT, killSignal: 'SIGKILL', maxBuffer: 1 << 26 }
  return new Promise((resolve, reject) => {
    const all = { ...limits, ...options, env: environment(env) }
    execFile(file, args, all, (err, stdout, stderr) => {
      if (err) reject(new Error(`${[file, ...args].join(' ')}\n${stdout}${stderr}`))
      else resolve({ stdout, stderr })
    })
  })
}

/** Starts a server; resolves once it listens. `stop` ends it and what it has started. */
async function serve(file, args, { env, ...options } = {}) {
  const child = spawn(file, args, { ...options, detached: true, env: environment(env) })
  let printed = ''
  const ended = once(child, 'close')
  const listens = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`does not listen:\n${printed}`)), TIMEOUT)
    const read = (chunk) => {
      printed += chunk
      const found = LISTENS.exec(printed)
      if (found && printed.includes('\n', found.index)) resolve({ url: found[1], gate: found[2] })
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.on('error', reject)
    child.on('close', () => reject(new Error(`ended:\n${printed}`)))
    ended.then(() => clearTimeout(timer))
    child.stdout.once('end', () => clearTimeout(timer))
  })
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL')
    await ended
  }
  try {
    return { ...(await listens), stop, printed: () => printed }
  } catch (err) {
    if (child.pid !== undefined) await stop()
    throw err
  }
}
