'use strict'

/** Makes requests with autocannon, each for a session picked at random. Started by http.js. */

const autocannon = require('autocannon')
const harness = require('../harness.js')
const { sidOf, cookieOf } = require('../sessions.js')

const CONNECTIONS = 10

/** How many sessions a connection asks for in turn. */
const SESSIONS = 1000

harness.runAsChild(module, measure)

async function measure({ url, count, seconds, secret }) {
  const latencies = []
  const running = autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    setupClient: (client) =>
      client.setRequests(
        Array.from({ length: SESSIONS }, () => ({
          headers: { cookie: cookieOf(sidOf(Math.floor(Math.random() * count)), secret) },
        })),
      ),
  })
  // autocannon rounds what it reports to milliseconds.
  running.on('response', (_client, _status, _bytes, ms) => latencies.push(ms))
  const { requests, non2xx, errors, timeouts } = await running
  if (non2xx + errors + timeouts > 0) {
    throw new Error(`${non2xx} bad answers, ${errors} errors, ${timeouts} timeouts`)
  }
  return {
    perSecond: requests.average,
    p50: harness.percentile(latencies, 0.5),
    p99: harness.percentile(latencies, 0.99),
    'p99.9': harness.percentile(latencies, 0.999),
    max: harness.percentile(latencies, 1),
  }
}
