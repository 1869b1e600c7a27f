'use strict'

/**
 * What tests with several processes share: folders for stores, processes that have a store on
 * them, and randomness that can be had again.
 */

const { fork, spawn } = require('node:child_process')
const { randomInt } = require('node:crypto')
const { once } = require('node:events')
const { mkdtemp, readFile, rm } = require('node:fs/promises')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

const { Ledger } = require('./ledger.js')

module.exports = { deadReaders, newFolder, randomOf, randomOfSeed, startChild, startWriter }

/** A folder that is removed when the test ends; the store's is in it. */
async function newFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), 'memorystore-rs-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'sessions')
}

/** Resolves when a child process has ended, with how it did. */
async function ended(child) {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return { code: child.exitCode, signal: child.signalCode }
}

/**
 * A process with a store of these options: `run(task, args)` has it do one of the tasks of
 * child.js, and `call(method, ...args)` call a method of the store.
 */
async function startChild(t, options) {
  const child = fork(join(__dirname, 'child.js'), [JSON.stringify(options)], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const exit = ended(child)
  t.teardown(() => {
    child.kill('SIGKILL')
    return exit
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += chunk))

  const waiting = new Map()
  const answer = (id) => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
  child.on('message', ({ id, result, message, code }) => {
    const { resolve, reject } = waiting.get(id)
    waiting.delete(id)
    if (message === undefined) resolve(result)
    else reject(Object.assign(new Error(message), { code }))
  })
  exit.then(({ code, signal }) => {
    const error = new Error(`the process has ended with ${code ?? signal}: ${stderr}`)
    for (const { reject } of waiting.values()) reject(error)
  })
  let last = 0
  const ready = answer(last)
  const run = (task, args = {}) => {
    const id = ++last
    const result = answer(id)
    // One that nobody waits for any more may end with the process.
    result.catch(() => {})
    child.send({ id, task, args })
    return result
  }
  await ready
  return {
    pid: child.pid,
    exit,
    run,
    call: (method, ...args) => run('call', { method, args }),
    kill: () => {
      child.kill('SIGKILL')
      return exit
    },
  }
}

/**
 * A process that writes until it is killed. `begun` resolves when it has told of its first
 * operation; `kill` kills it and resolves with what it has told of.
 */
function startWriter(t, path, name) {
  const ledger = new Ledger(name)
  const child = spawn(process.execPath, [join(__dirname, 'writer.js'), path, name], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const exit = once(child, 'close')
  let [stderr, cut] = ['', '']
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const begun = new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      const lines = (cut + chunk).split('\n')
      // The last line may have been cut off, for good if that was when the process was killed.
      cut = lines.pop()
      if (lines.length === 0) return
      ledger.advance(Number(lines.at(-1)))
      resolve()
    })
    exit.then(() => reject(new Error(`the writer has ended by itself: ${stderr}`)))
  })
  begun.catch(() => {})

  async function kill() {
    child.kill('SIGKILL')
    const [code, signal] = await exit
    if (signal !== 'SIGKILL')
      throw new Error(`the writer has ended with ${code ?? signal}: ${stderr}`)
    return ledger
  }
  return { begun, kill }
}

/**
 * Random numbers from a seed that the test tells; MEMORYSTORE_RS_SEED gives the same ones again.
 */
function randomOf(t) {
  const seed = Number(process.env.MEMORYSTORE_RS_SEED ?? randomInt(2 ** 32))
  t.log(`MEMORYSTORE_RS_SEED=${seed}`)
  return randomOfSeed(seed)
}

/** `below(limit)` gives whole numbers from 0; always the same ones for a seed. By mulberry32. */
function randomOfSeed(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = Math.imul(state ^ (state >>> 15), state | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
  return { below: (limit) => Math.floor(next() * Math.floor(limit)) }
}

/** How many places in LMDB's table of readers are taken by these processes. */
async function deadReaders(path, pids) {
  // As LMDB lays it out on Linux: a head of two cache lines, then one for each reader.
  const [HEAD, READER, PID] = [128, 64, 8]
  const locks = await readFile(join(path, 'lock.mdb'))
  const dead = new Set(pids)
  let count = 0
  for (let at = HEAD; at + READER <= locks.length; at += READER) {
    if (dead.has(locks.readInt32LE(at + PID))) count++
  }
  return count
}
