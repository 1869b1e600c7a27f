'use strict'

/** Says where an app listens, and holds its slow requests until the gate is told to let them go. */

const { createServer } = require('node:http')

const waiting = []

const gate = createServer((req, res) => {
  if (req.url === '/release') for (const go of waiting.splice(0)) go()
  res.end(String(waiting.length))
})

exports.slow = () => new Promise((resolve) => waiting.push(resolve))

exports.announce = (port) =>
  gate.listen(0, '127.0.0.1', () => {
    const own = gate.address().port
    console.log(`listening on http://127.0.0.1:${port}, gate on http://127.0.0.1:${own}`)
  })
