'use strict'

/**
 * The figures of `store.stats()` as metrics of prom-client, which the application brings.
 */

module.exports = { collectStoreMetrics }

/** What is registered: name, kind, help, and how a store's figures give its value. */
const METRICS = [
  ['sessions', 'Gauge', 'Sessions in the store.', (stats) => stats.sessions],
  ['bytes', 'Gauge', 'Memory that the sessions take, in bytes.', (stats) => stats.bytes],
  ['hits_total', 'Counter', 'Reads that found a session.', (stats) => stats.hits],
  ['misses_total', 'Counter', 'Reads that found no session.', (stats) => stats.misses],
  ['sets_total', 'Counter', 'Sessions written.', (stats) => stats.sets],
  [
    'merges_total',
    'Counter',
    'Sessions written with the changes of two requests merged.',
    (stats) => stats.merges,
  ],
  [
    'refused_writes_total',
    'Counter',
    'Writes refused because the session had been destroyed.',
    (stats) => stats.refusedWrites,
  ],
  ['touches_total', 'Counter', 'Sessions renewed.', (stats) => stats.touches],
  [
    'evictions_by_count_total',
    'Counter',
    'Sessions evicted because there were more than max.',
    (stats) => stats.evictionsByCount,
  ],
  [
    'evictions_by_bytes_total',
    'Counter',
    'Sessions evicted because they took more than maxBytes.',
    (stats) => stats.evictionsByBytes,
  ],
  [
    'expirations_total',
    'Counter',
    'Sessions removed because they had expired.',
    (stats) => stats.expirations,
  ],
  ['prunes_total', 'Counter', 'Prunes done.', (stats) => stats.prunes],
  [
    'last_prune_seconds',
    'Gauge',
    'How long the last prune took.',
    (stats) => stats.lastPruneMs / 1000,
  ],
]

/** What stores have besides that know whose sessions are. */
const USER_METRICS = [
  [
    'anonymous_sessions',
    'Gauge',
    'Sessions in the store that are nobody’s.',
    (stats) => stats.anonymous,
  ],
  [
    'evictions_of_users_total',
    'Counter',
    'Evicted sessions that were those of a user.',
    (stats) => stats.evictionsOfUsers,
  ],
]

/** What stores with a near-cache have besides. */
const CACHE_METRICS = [
  ['cache_hits_total', 'Counter', 'Reads served from the near-cache.', (stats) => stats.cacheHits],
  ['cache_misses_total', 'Counter', 'Reads that asked the server.', (stats) => stats.cacheMisses],
  [
    'invalidations_total',
    'Counter',
    'Changes of sessions that the server told of.',
    (stats) => stats.invalidations,
  ],
  ['round_trips_total', 'Counter', 'Commands sent to the server.', (stats) => stats.roundTrips],
]

/** Metrics that not all stores have, by a figure that those have. */
const MORE_METRICS = { anonymous: USER_METRICS, cacheHits: CACHE_METRICS }

/** For each registry, the sources of the metrics of each prefix. */
const registries = new WeakMap()

/**
 * Registers the figures of `store`, as `collectDefaultMetrics` does the process's.
 *
 * @param {object} store a MemoryStore
 * @param {object} options
 * @param {object} options.client the prom-client module
 * @param {object} [options.register] the registry; `client.register` by default
 * @param {string} [options.prefix] what the names begin with; `memorystore_` by default
 * @param {object} [options.labels] labels of this store, needed where there are several
 * @returns {() => void} a function that takes the store out again
 */
function collectStoreMetrics(store, options) {
  const { client, prefix = 'memorystore_', labels = {} } = options ?? {}
  if (typeof client?.Gauge !== 'function' || typeof client.Counter !== 'function') {
    throw new TypeError(
      "memorystore-rs: the option `client` has to be prom-client: collectStoreMetrics(store, { client: require('prom-client') })",
    )
  }
  if (typeof store?.stats !== 'function') {
    throw new TypeError('memorystore-rs: collectStoreMetrics takes a MemoryStore first')
  }
  const { register = client.register } = options
  if (typeof register?.registerMetric !== 'function') {
    throw new TypeError('memorystore-rs: the option `register` has to be a Registry of prom-client')
  }
  if (labels === null || typeof labels !== 'object') {
    throw new TypeError('memorystore-rs: the option `labels` has to be an object')
  }
  const made = sourcesOf(client, register, prefix, Object.keys(labels))
  const { sources, labelNames } = made
  if (labelNames.join() !== Object.keys(labels).sort().join()) {
    throw new TypeError(
      `memorystore-rs: the metrics ${prefix}* are registered with other label names (${labelNames.join(', ') || 'none'})`,
    )
  }
  const stats = statsOf(store)
  for (const [figure, metrics] of Object.entries(MORE_METRICS)) {
    if (stats?.[figure] === undefined || made.figures.has(figure)) continue
    registerMetrics(client, register, prefix, made, metrics)
    made.figures.add(figure)
  }
  // Metrics must not keep a store alive that nobody uses.
  const source = { store: new WeakRef(store), labels }
  sources.add(source)
  return () => sources.delete(source)
}

/** The stores whose figures `prefix` shows in `register`; registers the metrics first. */
function sourcesOf(client, register, prefix, names) {
  if (!registries.has(register)) registries.set(register, new Map())
  const prefixes = registries.get(register)
  const known = prefixes.get(prefix)
  // A registry that was cleared no longer has the metrics.
  if (known && register.getSingleMetric(prefix + METRICS[0][0])) return known

  const made = { sources: new Set(), labelNames: names.sort(), figures: new Set() }
  registerMetrics(client, register, prefix, made, METRICS)
  prefixes.set(prefix, made)
  return made
}

/** Registers `metrics` of the stores in `made`. */
function registerMetrics(client, register, prefix, made, metrics) {
  for (const [name, kind, help, valueOf] of metrics) {
    new client[kind]({
      name: prefix + name,
      help,
      labelNames: made.labelNames,
      registers: [register],
      collect() {
        this.reset()
        for (const { labels, stats } of figures(made.sources)) {
          const value = valueOf(stats)
          if (value !== undefined) this.inc(labels, value)
        }
      },
    })
  }
}

/** The figures of the stores that still exist and are open. */
function* figures(sources) {
  for (const source of sources) {
    const store = source.store.deref()
    const stats = store && statsOf(store)
    if (stats) yield { labels: source.labels, stats }
    else sources.delete(source)
  }
}

function statsOf(store) {
  try {
    return store.stats()
  } catch (err) {
    if (err.code === 'ERR_MEMORYSTORE_CLOSED') return undefined
    throw err
  }
}
