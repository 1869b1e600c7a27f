/** What is needed of prom-client. */
interface PromClient {
  Gauge: new (...args: any[]) => unknown
  Counter: new (...args: any[]) => unknown
  register: object
}

/** What is needed of a store. */
interface StoreWithStats {
  stats(): object
}

interface StoreMetricsOptions {
  /** The prom-client module: `require('prom-client')`. */
  client: PromClient
  /** The registry to use. Default: `client.register`. */
  register?: object | undefined
  /** What the metrics' names begin with. Default: `memorystore_`. */
  prefix?: string | undefined
  /** Labels of this store. If there are several stores, all need the same label names. */
  labels?: Record<string, string | number> | undefined
}

/**
 * Registers the figures of `store.stats()` with prom-client: gauges and counters that are read
 * when the metrics are collected. A store that is closed or garbage-collected is left out.
 *
 * ```js
 * const { collectStoreMetrics } = require('memorystore-rs/prometheus')
 * collectStoreMetrics(store, { client: require('prom-client') })
 * ```
 *
 * @returns a function that removes the store from the metrics
 * @throws {TypeError} if `client` is not prom-client, `store` has no `stats()`, or the metrics are
 * registered with other label names
 */
export declare function collectStoreMetrics(
  store: StoreWithStats,
  options: StoreMetricsOptions,
): () => void
