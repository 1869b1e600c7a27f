'use strict'

/**
 * Cleans up after this process: when it has ended, in whatever way, also by SIGKILL, a process of
 * its own kills the programs that this one started, and removes their folder.
 */

const { spawn } = require('node:child_process')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')

module.exports = { folderOfProcess, spawnGuarded }

/** Set at the first use. */
let guard

/** A folder for the files of the programs. It is removed when this process has ended. */
function folderOfProcess() {
  return start().folder
}

/** As `spawn`. The program does not keep this process alive, and does not outlive it. */
function spawnGuarded(file, args, options) {
  const { tell } = start()
  const child = spawn(file, args, options)
  child.unref()
  if (child.pid !== undefined) {
    tell(`+${child.pid}`)
    // Another program may get the number.
    child.once('exit', () => tell(`-${child.pid}`))
  }
  return child
}

function start() {
  if (guard) return guard
  const folder = mkdtempSync(join(tmpdir(), 'memorystore-rs-'))
  const child = spawn(process.execPath, [__filename, folder], {
    stdio: ['pipe', 'ignore', 'inherit'],
    // A Ctrl-C in the terminal is for the tests, not for the guard.
    detached: true,
  })
  child.unref()
  child.stdin.unref()
  guard = { folder, tell: (line) => child.stdin.write(`${line}\n`) }
  return guard
}

/** What the guard does. Its stdin ends with the process that it guards. */
async function stand(folder) {
  let text = ''
  for await (const chunk of process.stdin) text += chunk
  const running = new Set()
  for (const [, sign, pid] of text.matchAll(/^([+-])(\d+)$/gm)) {
    if (sign === '+') running.add(Number(pid))
    else running.delete(Number(pid))
  }
  for (const pid of running) kill(pid)
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

if (require.main === module) stand(process.argv[2])
