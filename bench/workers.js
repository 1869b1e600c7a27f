'use strict'

/** Processes that do at the same time what a measurement asks of them. */

const { fork } = require('node:child_process')
const { once } = require('node:events')

module.exports = { startWorker, doAsAsked }

/** The task of every process. */
const END = 'end'

/**
 * Starts `file` as a process that has `params`. Returns `ask(task, args)`, a promise of what the
 * task returns; `kill()`, which ends it as a crash would; and `end()`, which lets it end. Both are
 * promises that it has.
 */
function startWorker(file, params = {}) {
  const child = fork(file, [JSON.stringify(params)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const asked = new Map()
  let number = 0
  let errors = ''
  child.stderr.on('data', (data) => (errors = (errors + data).slice(-8000)))
  child.on('message', ({ id, failed, value }) => {
    const { resolve, reject } = asked.get(id)
    asked.delete(id)
    if (failed === undefined) resolve(value)
    else reject(new Error(failed))
  })
  const ended = once(child, 'close').then(([code, signal]) => {
    const message = /^\w*Error: .*$/m.exec(errors)?.[0]
    const error = new Error(message ?? `a worker ended with ${signal ?? code}`)
    for (const { reject } of asked.values()) reject(error)
  })
  return {
    ask: (task, args) =>
      new Promise((resolve, reject) => {
        asked.set(++number, { resolve, reject })
        child.send({ id: number, task, args }, (err) => err && reject(err))
      }),
    kill: () => {
      child.kill('SIGKILL')
      return ended
    },
    end: () => {
      // Where it is this side that disconnects, Node.js does not tell when the process has ended.
      if (child.connected) child.send({ task: END }, () => {})
      return ended
    },
  }
}

/** What such a process does: `tasks` by name, until nobody can ask any more. */
function doAsAsked(tasks) {
  process.on('message', async ({ id, task, args }) => {
    if (task === END) process.exit()
    try {
      process.send({ id, value: await tasks[task](args ?? {}) })
    } catch (error) {
      process.send({ id, failed: error.message })
    }
  })
  process.once('disconnect', () => process.exit())
}
