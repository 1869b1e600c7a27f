'use strict'

/** The section on what the option `user` costs, and the calls that need it. */

const { configurations, failures, nameOf, present, sessionsOf, table } = require('./parts.js')
const { cellOf, find } = require('./summary.js')

module.exports = { usersPart }

const ROWS = {
  setWithout: 'set without `user`, µs',
  setWith: 'set with `user`, µs',
  bytesWithout: 'bytes a session without `user`',
  bytesWith: 'bytes a session with `user`',
  sessionsOf: 'sessionsOf of a user with five sessions, µs',
  destroyUser: 'destroyUser of a user with five sessions, µs',
}

function usersPart(report) {
  const out = [
    '## Sessions of a user',
    'A store with the option and one without it take turns in one process. Medians, time on the clock, 32 sets in flight. Bytes are resident ones; on a path, those that the store counts.',
  ]
  for (const params of configurations(report, 'users')) {
    const stores = present(report, 'users', params)
    out.push(
      `### ${sessionsOf(params)}`,
      table(
        ['', ...stores.map(nameOf)],
        Object.entries(ROWS).map(([what, title]) => [
          title,
          ...stores.map((store) => cellOf(find(report, 'users', store, params), [what])),
        ]),
      ),
      failures(report, 'users', params),
    )
  }
  return out.filter(Boolean).join('\n\n')
}
