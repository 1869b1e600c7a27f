'use strict'

/**
 * The table of connect-pg-simple: PostgreSQL compares what is stored and writes in one step.
 *
 * What is compared is the text that was read. The column's type is `json`, which keeps the text as
 * it was written; where it is `jsonb`, the text that the server makes of it is read first.
 */

const ONE_DAY = 86400

/** The table of the store, if it is one of connect-pg-simple. */
function postgresOf(backing, calls) {
  const isOne = ['query', 'quotedTable', 'pruneSessions'].every((name) => calls.has(name))
  return isOne ? new Postgres(backing, calls) : undefined
}

class Postgres {
  #backing
  #calls

  constructor(backing, calls) {
    this.#backing = backing
    this.#calls = calls
  }

  /** The text of the session that is stored; undefined if there is none. */
  async read(sid) {
    const row = await this.#query(
      (table) =>
        `SELECT sess::text AS text FROM ${table} WHERE sid = $1 AND expire >= to_timestamp($2)`,
      [sid, Math.ceil(Date.now() / 1000)],
    )
    return row?.text
  }

  /** Writes `session` if the text that is stored is `expected`. Returns whether it was. */
  async replace(sid, expected, session) {
    const row = await this.#query(
      (table) =>
        `UPDATE ${table} SET sess = $1, expire = to_timestamp($2) WHERE sid = $3 AND sess::text = $4 RETURNING sid`,
      [JSON.stringify(session), this.#expiryOf(session), sid, expected],
    )
    return row !== undefined
  }

  #query(sql, values) {
    return this.#calls.call('query', sql(this.#backing.quotedTable()), values)
  }

  /** As connect-pg-simple reckons it. */
  #expiryOf(session) {
    const cookie = session?.cookie
    const seconds = cookie?.expires
      ? new Date(cookie.expires).getTime() / 1000
      : Date.now() / 1000 + (this.#backing.ttl || ONE_DAY)
    return Math.ceil(seconds)
  }
}

module.exports = { postgresOf }
