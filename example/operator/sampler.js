'use strict'

/**
 * Takes samples now and then, by timers that keep nothing alive. With workers, each tells its
 * figures to the primary process, which puts them together and tells all workers, so that the
 * page is the same whichever answers.
 */

const cluster = require('node:cluster')
const { createFigures } = require('./figures.js')
const { createHistory, keep } = require('./history.js')

module.exports = { gather, sample }

/** Samples `store` each `period` milliseconds, in this process or as a worker. */
function sample(store, period) {
  const take = createFigures(store)
  return cluster.isWorker ? tellPrimary(take, period) : sampleAlone(take, period)
}

function sampleAlone(take, period) {
  const history = createHistory({ isShared: true, now: Date.now() })
  const tick = () => {
    history.report('self', take())
    history.tick(Date.now())
  }
  tick()
  return { samples: history.samples, stop: every(period, tick) }
}

function tellPrimary(take, period) {
  const samples = []
  process.on('message', (message) => {
    if (message.samples) keep(samples, message.samples)
  })
  const tell = () => {
    if (process.connected) process.send({ figures: take() }, ignore)
  }
  tell()
  return { samples, stop: every(period, tell) }
}

/** In the primary process: puts together what the workers tell. */
function gather(period, isShared) {
  const history = createHistory({ isShared, now: Date.now() })
  cluster.on('online', (worker) => worker.send({ samples: history.samples }, ignore))
  cluster.on('message', (worker, { figures }) => {
    if (figures) history.report(worker.id, figures)
  })
  cluster.on('exit', (worker) => history.forget(worker.id))
  every(period, () => {
    const samples = [history.tick(Date.now())]
    for (const worker of Object.values(cluster.workers)) {
      if (worker.isConnected()) worker.send({ samples }, ignore)
    }
  })
}

/** Who is gone just now misses nothing. Without a callback this would be an uncaught error. */
function ignore() {}

/** Returns a function that stops it. */
function every(period, task) {
  const timer = setInterval(task, period).unref()
  return () => clearInterval(timer)
}
