'use strict'

// Child processes for tests of what only a whole process can show: how it ends, what it prints,
// which threads and how much memory it has.

const { execFile } = require('node:child_process')
const { join } = require('node:path')

/** A child that has not ended by then hangs, however busy the machine, and is killed. */
const TIMEOUT = 15 * 60_000

const ROOT = join(__dirname, '../..')

module.exports = { ROOT, run, runScript, succeed }

/** Runs a program. Resolves with its `code`, `signal`, `stdout` and `stderr`, however it ends. */
function run(file, args, options = {}) {
  return new Promise((resolve) => {
    const limits = { timeout: TIMEOUT, killSignal: 'SIGKILL', maxBuffer: 1 << 26 }
    const child = execFile(file, args, { ...limits, ...options }, (_err, stdout, stderr) => {
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr })
    })
  })
}

/** Runs `source` as a CommonJS script from the root of the repository. */
function runScript(source, { args = [], env = {}, ...options } = {}) {
  return run(process.execPath, [...args, '-e', source], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    ...options,
  })
}

/** As `runScript`, for a script that has to exit with 0. Resolves with the JSON that it prints. */
async function succeed(t, source, options) {
  const { code, signal, stdout, stderr } = await runScript(source, options)
  t.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
  return stdout === '' ? undefined : JSON.parse(stdout)
}
