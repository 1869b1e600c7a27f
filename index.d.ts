import { EventEmitter } from 'node:events'

export = createMemoryStore

/**
 * Makes the class of a session store that extends express-session's `Store`.
 *
 * ```ts
 * import session from 'express-session'
 * import createMemoryStore from 'memorystore-rs'
 *
 * const MemoryStore = createMemoryStore(session)
 * app.use(session({ secret, store: new MemoryStore({ checkPeriod: 86400000 }) }))
 * ```
 *
 * The session type is the one that the module's `Store` takes. With `@types/express-session` this
 * is `SessionData`, with everything that declaration merging added to it.
 *
 * @param session the express-session module
 * @throws {TypeError} if `session` is given and has no class `Store`
 */
declare function createMemoryStore<Module extends createMemoryStore.SessionModule>(
  session: Module,
): createMemoryStore.MemoryStoreClass<
  createMemoryStore.SessionOf<Module>,
  createMemoryStore.BaseOf<Module>
>

/**
 * Makes the class of a session store that extends Node's `EventEmitter`, for frameworks that take
 * any object with `get`, `set` and `destroy`.
 *
 * ```ts
 * const MemoryStore = createMemoryStore<Fastify.Session>()
 * const store = new MemoryStore({ checkPeriod: 86400000, destroyed: 'final' })
 * app.register(fastifySession, { secret, store })
 * ```
 */
declare function createMemoryStore<Session = any>(
  session?: undefined,
): createMemoryStore.MemoryStoreClass<Session, EventEmitter>

declare namespace createMemoryStore {
  /** Options of `new MemoryStore(options)`. All are optional. */
  interface MemoryStoreOptions<Session = any> {
    /**
     * How often expired sessions are removed, in milliseconds: any finite number above 0. A
     * background thread removes them. The timer does not keep the process alive.
     *
     * Default: never. An expired session then stays in memory, and counts, until an operation
     * accesses it, it is evicted, or `prune` removes it.
     */
    checkPeriod?: number | undefined

    /**
     * The most sessions to keep. If there are more, the least recently used sessions are evicted (but see `anonymousFirst`):
     * a few hundred at once, very many in the background. Expired sessions count until they are
     * removed. A value that is not a positive number is no limit.
     *
     * Default: `Infinity`.
     */
    max?: number | undefined

    /**
     * The most memory to use for sessions, in bytes: sids, bodies and the store's own overhead. If
     * they take more, the least recently used sessions are evicted. A session that alone takes more
     * is refused with a RangeError with the code `ERR_MEMORYSTORE_TOO_LARGE`, and what was stored
     * stays as it was. A value that is not a positive number is no limit.
     *
     * Default: `Infinity`.
     */
    maxBytes?: number | undefined

    /**
     * How long a session lives after `set` and `touch`, in milliseconds, or a function that returns
     * this. 0, `undefined` and `NaN` mean for ever; a negative number means expired at once.
     *
     * For any other value, and for any other result of the function, `set` and `touch` pass a
     * TypeError to the callback. The exception is a result that is a number as text: that number is
     * used. An error that the function throws also goes to the callback. Without a callback, `set`
     * and `touch` throw these errors.
     *
     * Default: the `maxAge` of the session's cookie, without its fraction (0 or less means expired
     * at once), or one day if `maxAge` is not a number.
     */
    ttl?: number | TtlFunction<Session> | undefined

    /**
     * Called for every session that leaves the store, right after its removal: because it expired,
     * was evicted, destroyed, cleared, or dropped by `close`. Also called for a body that `set` or
     * `touch` overwrote (but see `noDisposeOnSet`). It may use the store. Each end is told once, in
     * the process that has removed the session.
     *
     * It runs inside the call that removed the session. For sessions that the background thread
     * removed, it runs a few milliseconds later.
     *
     * An error that it throws is thrown from the call that removed the session, once that call has
     * done all its work; in `touch` and `all` it goes to the callback. If no call removed the
     * session, the error is an uncaught exception.
     *
     * It is not called for a session that cannot be decrypted; see `encryptionKeys`.
     *
     * Default: none.
     *
     * @param sid the session's id
     * @param body what `serializer.stringify` returned: JSON text by default
     * @param reason why it has left
     */
    dispose?: DisposeFunction | undefined

    /**
     * Whether `get` and `all` return an expired session once more, in the call that removes it.
     *
     * Default: `false`.
     */
    stale?: boolean | undefined

    /**
     * With `true`, `dispose` is not called for a body that `set` or `touch` overwrites.
     *
     * Default: `false`.
     */
    noDisposeOnSet?: boolean | undefined

    /**
     * What `set` does with a session that express-session loaded and that another request has
     * written since then.
     *
     * `'merge'` keeps the changes of both, by key, at every depth of plain objects. A key that only
     * one of them changed, added or deleted is as that request left it. If both changed the same
     * key, the later write wins, unless the values are plain objects, which are merged in turn. An
     * array is one value. An object that one of them deleted, or set to null or `{}`, stays so if
     * the other only changed keys inside it. The cookie is merged member by member, in `touch` too:
     * a lifetime that one of them set stays, and of two renewals the later expiry wins. Sessions
     * that are not plain objects after `serializer.parse` are overwritten.
     *
     * `'overwrite'` lets the later request win.
     *
     * A function returns the session to write. It is called only if another request wrote the
     * session in between, and possibly more than once for one write. If it throws, the error goes
     * to the callback of `set`, and nothing is written. The cookie is merged as above unless the
     * function returns one of its own.
     *
     * With any of these, a session that was destroyed since it was loaded is not written.
     *
     * Default: `'merge'`.
     */
    conflict?: 'merge' | 'overwrite' | ConflictFunction<Session> | undefined

    /**
     * What `set` does with a destroyed sid, for a session that express-session did not load.
     * `'forgotten'`: it writes the session. `'final'`: for ten minutes it writes nothing, and gives
     * no error. If one `clear` removes more than 10,000 sessions, this protects only 10,000 of
     * them.
     *
     * Use `'final'` with frameworks that do not call `createSession`, such as `@fastify/session`.
     * Then a request that ends after a logout does not undo it.
     *
     * Default: `'forgotten'`.
     */
    destroyed?: 'forgotten' | 'final' | undefined

    /**
     * A touch that would extend the expiry of a session by less than this, in milliseconds, is
     * skipped; its cookie is not stored either. It still counts as a use of the session. Choose a
     * value well below the lifetime, because a session in use can expire earlier by up to this
     * much.
     *
     * Default: 0; no touch is skipped. With `redis` or `backing`: a twentieth of the session's
     * lifetime, at most a minute. There, a touch that changes more of the cookie than its expiry is
     * never skipped.
     */
    touchAfter?: number | undefined

    /**
     * Tells whether a request counts as use of its session. A `touch` for which it returns false
     * does nothing, and calls back as usual: a page that polls does not keep its user logged in.
     * `set` renews the expiry in any case.
     *
     * Express-session gives a session its request, as `session.req`. If the function throws, or
     * returns a promise, the error goes to the callback of `touch`.
     *
     * Default: every request counts.
     */
    isActivity?: ((session: Session & { req?: any }, sid: string) => boolean) | undefined

    /**
     * Whose a session is: a path of own properties, such as `'passport.user'`, or a function. With
     * it `sessionsOf` and `destroyUser` work. What counts is what is stored, after a merge too.
     *
     * The id is text that is not empty, a finite number or a bigint, after its `toJSON` if it has
     * one. Anything else means that the session is nobody's; for a plain object a process warning
     * (`MEMORYSTORE_OPTION`) says so once. An error that the function throws goes to the callback.
     *
     * In memory, with `name`, on a `path` and with `redis`. With `backing` the constructor throws a
     * TypeError, as for anything that is neither a path nor a function. All processes of a `path`
     * have to give the same; otherwise the constructor throws an error with the code
     * `ERR_MEMORYSTORE_PATH`.
     *
     * Default: none.
     */
    user?: string | ((session: Session) => unknown) | undefined

    /**
     * For how long a session lives at most after it was created, in milliseconds, however much it
     * is used and whatever `ttl` and the cookie say; or a function that returns this. `undefined`
     * means for ever, 0 or less expired at once. Another result is a TypeError, which goes to the
     * callback. A session is created when its sid is first written, and when it gets another user.
     *
     * In memory, with `name`, on a `path` and with `redis`, as `user`.
     *
     * Default: none.
     */
    lifetime?: number | LifetimeFunction<Session> | undefined

    /**
     * How many sessions a user may have at most, 1 or more; or a function that returns this,
     * `undefined` for any number. It is applied when a session gets its user; expired sessions do
     * not count. In a Redis cluster there can be more for as long as logins are under way.
     *
     * Needs `user`; otherwise the constructor throws a TypeError.
     *
     * Default: none.
     */
    maxPerUser?: number | ((user: string, session: Session) => number | undefined) | undefined

    /**
     * What happens if a user has `maxPerUser` sessions and gets one more. `'end'`: those that were
     * used longest ago are ended, never the one that is written. `'refuse'`: `set` fails with the
     * code `ERR_MEMORYSTORE_USER_FULL`, and nothing is stored.
     *
     * Default: `'end'`.
     */
    whenFull?: 'end' | 'refuse' | undefined

    /**
     * Whether, where `user` is given and `max` or `maxBytes` bind, sessions of nobody are evicted
     * before those of users; both in the order of their use, or on a `path` of their expiry. So a flood of sessions that are never
     * used again logs nobody out. With `false` the first in that order goes, whosever it
     * is. Without `user`, and with `redis`, it has no effect.
     *
     * Default: `true`.
     */
    anonymousFirst?: boolean | undefined

    /**
     * Whether sessions are stored under the SHA-256 of their sids: `h1:` and 28 characters. Then
     * nothing that is stored or listed can be used as a cookie: `ids`, `keys`, `entries`, `all` and
     * `dispose` give these names, and so does the function `lifetime` get one. `destroy`, `info` and
     * `watch` take them as well as sids; `get`, `set` and `touch` never do.
     *
     * On a `path` the sessions are in a folder of its own within that folder, so sessions of before
     * the option are not found. With `redis` and `backing` all processes have to give the same. The
     * constructor throws a TypeError if it is no boolean.
     *
     * Default: `false`.
     */
    hashSids?: boolean | undefined

    /**
     * With `path` or `redis`: encrypts each session (XChaCha20-Poly1305, with the sid authenticated).
     * The first key encrypts, and each of them decrypts, so keys can be changed without a logout. A
     * key has 32 bytes, as a `Uint8Array`, a secret `KeyObject`, or text in hexadecimal digits or
     * base64. Expiry, size and sid stay readable. Sessions of before the option are read as they are.
     *
     * If no key fits, calls that read the session fail with the code `ERR_MEMORYSTORE_KEY`. It can
     * still be ended, but `dispose` is not called for it, and a process warning says so once. The
     * constructor throws a TypeError for what is no key, and where there is neither `path` nor
     * `redis`. The keys are not in `store.options`.
     *
     * Default: none.
     */
    encryptionKeys?: EncryptionKey | EncryptionKey[] | undefined

    /**
     * All stores of this process with this name, in all worker threads, have the same sessions.
     * The sessions are dropped when the last of these stores is closed or garbage-collected, or its
     * thread ends.
     *
     * The stores of a name have to agree in `max`, `maxBytes`, `stale`, `noDisposeOnSet`,
     * `destroyed`, `touchAfter`, `user`, `lifetime`, `maxPerUser`, `whenFull`, `anonymousFirst`,
     * `hashSids`, and in whether there is a `dispose`. Otherwise the constructor throws an error with the code
     * `ERR_MEMORYSTORE_NAME`. They also have to use the same `serializer`, which is not checked.
     * `dispose` is called in the thread that removed the
     * session; for sessions that the background thread removed, in any of them.
     *
     * Default: none; the store has its own sessions.
     */
    name?: string | undefined

    /**
     * A folder (or its `file:` URL) in which the sessions are kept in a file. All stores of the
     * machine with this folder, in all processes and worker threads, have the same sessions. The
     * sessions outlive the processes: a restart, a deploy or a killed process loses no write that
     * `set` or `touch` has called back for. `close` and the end of the process keep the sessions.
     *
     * The folder is created if it does not exist (mode 0700; the files have 0600). It has to be on
     * a local disk. If it cannot be written, or is on a network file system, the constructor throws
     * an error that names the path and the cause and has a `code`. On Unix, no other user may own
     * it or write to it. A damaged file is renamed, the store starts empty, and a process warning
     * with the code `MEMORYSTORE_RS_DAMAGED` has both names.
     *
     * What differs from a store in memory:
     * - `ids`, `all`, `keys` and `entries` list the session that expires last first, and the
     *   session that expires soonest is evicted first. Of sessions that expire in the same
     *   millisecond, the one written or touched longest ago goes first. If all sessions have the
     *   same lifetime and are touched when used, this is the order of least recent use.
     * - A sid must have between 1 and 503 bytes; `set` refuses others.
     * - The counts of `stats` are those of this process, and `dispose` is called for what this
     *   process removed.
     *
     * The stores of one process have to agree in the options that `name` lists, and in `mapSize`.
     * Otherwise the constructor throws an error with the code `ERR_MEMORYSTORE_PATH`. All processes
     * should use the same options and the same `serializer`. `path` and `name` cannot be combined.
     * If native code calls `fork(2)` directly, the new process has to open its own store; this does
     * not concern `node:child_process` and `node:cluster`.
     *
     * If the folder or its files are removed or replaced while they are open, the store notices
     * within a second and continues with the files then at the path. A process warning with the
     * code `MEMORYSTORE_RS_REPLACED` says so.
     *
     * Default: none; the sessions are in memory.
     */
    path?: string | URL | undefined

    /**
     * How large the file in `path` may become, in bytes: a whole number, 1 MiB or more. The file
     * takes that much address space, but only as much disk space as it has used. Sessions take at
     * most half of it; beyond that, those that expire soonest are evicted. By default there is room
     * for about 2.3 million sessions of 400 bytes, or 475,000 of 4 kB. One session may be as long
     * as an eighth of it, and 256 MiB at most; such a session always fits. The smallest size is 256
     * memory pages of the system that creates the file; a smaller value counts as that size.
     *
     * Default: 4 GiB.
     */
    mapSize?: number | undefined

    /**
     * How often changes to the file of `path` are written to the disk, in milliseconds; 0 leaves it
     * to the operating system. This happens in the background if this process has written anything,
     * and once more in `close`. It matters only for power failures and crashes of the operating
     * system. A process that crashes or is killed loses nothing: what it wrote is in the operating
     * system's memory at once.
     *
     * After a power failure the file is as it was when the last sync began, or later. If the system
     * had written only some of the later changes, it may be damaged; then the store starts empty.
     * If changes cannot be written to the disk, a process warning with the code
     * `MEMORYSTORE_RS_SYNC` says why.
     *
     * Default: 1000.
     */
    syncPeriod?: number | undefined

    /**
     * A client of node-redis 5 or 6 (`createClient`, `createCluster`; `createSentinel` of 6), ioredis 5 or
     * 6, or iovalkey, connected or not. The sessions are in that Redis or Valkey, as connect-redis
     * stores them, and all stores with the same server and `prefix`, on all machines, share them.
     * Each process has a near-cache, which `max` and `maxBytes` bound (64 MiB without them).
     *
     * The store works on connections of its own. It never uses or closes the client, and `close`
     * ends only its own connections. They do not keep the process alive.
     *
     * Errors have the code `ERR_MEMORYSTORE_UNAVAILABLE` (no connection), `ERR_MEMORYSTORE_TIMEOUT`
     * (no answer in time) or `ERR_MEMORYSTORE_REFUSED` (by the server), and a `cause`. If the server
     * does not let the store track changes, a process warning with the code
     * `MEMORYSTORE_RS_NO_TRACKING` says so, and every read asks the server.
     *
     * `redis` cannot be combined with `path`, `name` or `backing`. Anything else than a client is a
     * TypeError.
     *
     * Default: none; the sessions are in memory.
     */
    redis?: object | undefined

    /**
     * What the keys in Redis begin with. It may be empty.
     *
     * Default: `'sess:'`, as with connect-redis.
     */
    prefix?: string | undefined

    /**
     * Another express-session store, which keeps the sessions: of connect-pg-simple, connect-mongo,
     * session-file-store, or any other with the methods `get`, `set` and `destroy`. This store puts
     * a near-cache in front of it, which `max` and `maxBytes` bound (64 MiB without them), merges the
     * writes of overlapping requests, and refuses those of a session that was destroyed.
     *
     * What another process did to a session is seen after `maxStale` at the latest. Before a write
     * the other store is asked for the session, so requests in two processes can still overwrite
     * each other, or undo a logout, within one round trip. With connect-pg-simple they cannot: there
     * PostgreSQL compares. What was destroyed is remembered, for `destroyed: 'final'`, in this
     * process alone.
     *
     * How long a session lives is up to the other store; `ttl` is ignored. Its errors come as they
     * are. It stays open when this one is closed. Methods that list sessions fail with the code
     * `ERR_MEMORYSTORE_UNSUPPORTED` if it does not tell the sids.
     *
     * `backing` cannot be combined with `path`, `name` or `redis`. Anything else than a store is a
     * TypeError.
     *
     * Default: none; the sessions are in memory.
     */
    backing?: BackingStore<Session> | undefined

    /**
     * With `redis` or `backing`: how long a call waits for an answer, in milliseconds. A write that
     * ran into this may have been done. While there is no connection, calls fail at once.
     *
     * Default: 5000.
     */
    timeout?: number | undefined

    /**
     * With `redis`: for how long a read may be served from the near-cache after the connection last
     * gave a sign of life, in milliseconds. As long as it is alive, a change of another process is
     * known within a round trip. With 0 every read asks the server. With `backing`: for how long a
     * session that was read may be served again, in milliseconds.
     *
     * Default: 1000.
     */
    maxStale?: number | undefined

    /**
     * With `redis` or `backing`: for how long reads are served from the near-cache when there is no
     * answer, in milliseconds. A session that was destroyed elsewhere meanwhile is then still served.
     * Writes always fail.
     *
     * Default: 0; reads fail.
     */
    staleIfError?: number | undefined

    /**
     * Turns a session into the text or bytes that are stored, and back into a session.
     *
     * Default: `JSON`.
     */
    serializer?: Serializer<Session> | undefined
  }

  /**
   * A store of express-session, as far as the option `backing` needs it. Methods may return promises
   * instead of calling back.
   */
  interface BackingStore<Session = any> {
    get(sid: string, callback: (err?: any, session?: Session | null) => void): unknown
    set(sid: string, session: Session, callback?: (err?: any) => void): unknown
    destroy(sid: string, callback?: (err?: any) => void): unknown
    /** Renews the expiry. Without it, the session is set. */
    touch?(sid: string, session: Session, callback?: (...args: any[]) => void): unknown
    ids?(callback: (err?: any, sids?: any) => void): unknown
    all?(callback: (err?: any, sessions?: any) => void): unknown
    length?(callback: (err?: any, length?: any) => void): unknown
    clear?(callback?: (err?: any) => void): unknown
  }

  /**
   * Returns how long a session lives from now on, in milliseconds. 0, `undefined` and `NaN` mean
   * for ever; a negative number means expired at once.
   *
   * @param options the store's `options`
   * @param session what was passed to `set` or `touch`
   * @param sid what was passed to `set` or `touch`
   */
  type TtlFunction<Session = any> = (
    options: StoreOptions<Session>,
    session: Session,
    sid: string,
  ) => number | undefined

  /**
   * Returns for how long a session lives at most from its creation, in milliseconds; `undefined` for
   * ever.
   *
   * @param options the store's `options`
   * @param session what was passed to `set` or `touch`
   * @param sid what was passed to `set` or `touch`
   */
  type LifetimeFunction<Session = any> = (
    options: StoreOptions<Session>,
    session: Session,
    sid: string,
  ) => number | undefined

  /** What is known of a session. */
  interface SessionRecord<Session = any> {
    /**
     * A handle: the first 16 bytes of the SHA-256 of the sid (with `hashSids`, of its hash), in
     * base64url (22 characters). It can be shown, because nobody can make a cookie of it.
     */
    id: string
    /** Since when this sid has this user; undefined if that is not known. */
    created: Date | undefined
    /** When a `set` or `touch` was last stored; undefined if that is not known. */
    used: Date | undefined
    /** When it expires if it is not used; undefined if never. */
    expires: Date | undefined
    /** The bytes that it takes: in memory as `maxBytes` counts, with `redis` its text. */
    bytes: number
    /** The session as it is stored. */
    session: Session
  }

  /** A session in the list of a user. */
  interface UserSession<Session = any> extends SessionRecord<Session> {
    /** Whether it is the one that was given as `current`. */
    current: boolean
  }

  /** What `info` gives. */
  interface SessionInfo<Session = any> extends SessionRecord<Session> {
    /** Whose it is, as text; undefined if it is nobody's, or without the option `user`. */
    user: string | undefined
  }

  /** Which sessions `destroyUser` ends; all if neither is given. */
  interface DestroyUserOptions {
    /** A sid: this session stays. */
    except?: string
    /** The handle of a session: only this one is ended, if it is the user's. */
    only?: string
  }

  /**
   * Makes one session of the changes of two requests.
   *
   * ```js
   * // Counts the views of both, and merges everything else.
   * const conflict = (base, theirs, mine) => ({
   *   ...MemoryStore.merge(base, theirs, mine), // in TypeScript with `!` behind it
   *   views: theirs.views + mine.views - base.views,
   * })
   * ```
   *
   * @param base the session as this request loaded it
   * @param theirs as it is stored now
   * @param mine as this request wants to write it
   * @returns the session to write, an object; it may be one of the three
   */
  type ConflictFunction<Session = any> = (base: Session, theirs: Session, mine: Session) => Session

  /** The option `dispose`. */
  type DisposeFunction = (
    sid: string,
    body: string | Buffer | Uint8Array,
    reason: DisposeReason,
  ) => void

  /**
   * Why a session has left the store:
   * - `'expired'`: it had expired;
   * - `'evicted'`: there was no room for it, because of `max`, `maxBytes` or `mapSize`;
   * - `'destroyed'`: by `destroy`, `regenerate` or `destroyUser`;
   * - `'limit'`: its user got another session, and had as many as `maxPerUser`;
   * - `'cleared'`: by `clear`;
   * - `'replaced'`: it is still there, and only this body has been overwritten;
   * - `'closed'`: by `close`, which drops the sessions of a store in memory.
   */
  type DisposeReason =
    'expired' | 'evicted' | 'destroyed' | 'limit' | 'cleared' | 'replaced' | 'closed'

  /** Turns sessions into what is stored, and back. An error that it throws goes to the callback. */
  interface Serializer<Session = any> {
    /**
     * Returns the session as text or bytes. If it returns anything else, a TypeError goes to the
     * callback of `set` or `touch`, and what was stored stays as it was. An empty string counts as
     * no session.
     */
    stringify(session: Session): string | Buffer | Uint8Array

    /**
     * Returns the session again, from exactly what `stringify` returned. It should return a new
     * object each time, because each request changes its own.
     */
    parse(body: any): unknown
  }

  /** A key of 32 bytes. */
  type EncryptionKey = Uint8Array | import('node:crypto').KeyObject | string

  /** What `store.options` holds: the options as they were given, without the serializer and the keys. */
  interface StoreOptions<Session = any> {
    checkPeriod: number | undefined
    /** `Infinity` if it was not given. */
    max: number
    // These exist only if they were given.
    maxBytes?: number
    conflict?: 'merge' | 'overwrite' | ConflictFunction<Session>
    destroyed?: 'forgotten' | 'final'
    touchAfter?: number
    user?: string | ((session: Session) => unknown)
    lifetime?: number | LifetimeFunction<Session>
    maxPerUser?: number | ((user: string, session: Session) => number | undefined)
    whenFull?: 'end' | 'refuse'
    anonymousFirst?: boolean
    hashSids?: boolean
    isActivity?: (session: Session & { req?: any }, sid: string) => boolean
    name?: string
    path?: string | URL
    mapSize?: number
    syncPeriod?: number
    redis?: object
    prefix?: string
    backing?: BackingStore<Session>
    timeout?: number
    maxStale?: number
    staleIfError?: number
    ttl: number | TtlFunction<Session> | undefined
    dispose: DisposeFunction | undefined
    stale: boolean | undefined
    noDisposeOnSet: boolean | undefined
  }

  /** What `store.stats()` returns. Counts start when the store is made. */
  interface Stats {
    /** Sessions in the store. Expired sessions count until they are removed. */
    sessions: number
    /** The memory that the sessions take, in bytes, as `maxBytes` counts it. */
    bytes: number
    /** Calls of `get` that found a session. */
    hits: number
    /** Calls of `get` that found none. */
    misses: number
    /** Sessions written by `set`. */
    sets: number
    /** How many of the `sets` merged the changes of two requests. */
    merges: number
    /** Calls of `set` that wrote nothing, because the session had been destroyed. */
    refusedWrites: number
    /** Sessions renewed by `touch`. */
    touches: number
    /** Sessions evicted because there were more than `max`. */
    evictionsByCount: number
    /** Sessions evicted because they took more than `maxBytes`. */
    evictionsByBytes: number
    /** Sessions removed because they had expired. */
    expirations: number
    /** Prunes done, by `checkPeriod` or by hand. */
    prunes: number
    /** How long the last prune took from beginning to end, in milliseconds. */
    lastPruneMs: number

    // The following exist only with `user`, and not with `redis`.

    /** Sessions in the store that are nobody's. Expired sessions count until they are removed. */
    anonymous?: number
    /** Evicted sessions that were those of a user, expired ones included: each is a login lost. */
    evictionsOfUsers?: number

    // The following exist only with `redis` or `backing`. There, `sessions`, `bytes` and the
    // evictions are those of the near-cache.

    /** Calls of `get` that were served from the near-cache. */
    cacheHits?: number
    /** Calls of `get` that asked the server. */
    cacheMisses?: number
    /** Changes of sessions that the server told of. */
    invalidations?: number
    /** Commands that were sent, or calls of the store behind. */
    roundTrips?: number
  }

  /**
   * The methods of a store.
   *
   * Every callback is optional and called exactly once, always later than the call, and in the
   * order of the calls. The exceptions to this order are `ids` and `all` of more than 2000
   * sessions, which work in slices between which the event loop turns, and calls that wait for the
   * background thread, such as `prune`: they call back when they are done. Without a callback, the
   * method returns a promise; a rejected promise that nobody awaits causes no unhandled rejection.
   * The result is that of the moment of the call.
   *
   * Errors that go to the callback or reject the promise:
   * - a TypeError with the code `ERR_INVALID_ARG_TYPE` for a sid that is not a string. A number,
   *   boolean or bigint is converted to a string.
   * - a RangeError with the code `ERR_MEMORYSTORE_TOO_LARGE` for a session larger than `maxBytes`.
   *   On a `path` also for a session longer than an eighth of `mapSize` or than 256 MiB, and for a
   *   sid of more than 503 bytes; `ERR_INVALID_ARG_VALUE` for an empty sid.
   * - an Error with the code `ERR_MEMORYSTORE_CLOSED` from every method called after `close`, except
   *   `close` and `stopInterval`.
   * - on a `path`, an Error that names the path and the cause if the file cannot be read or
   *   written. The operation that failed has changed nothing. The `code` is that of the system
   *   (`ENOSPC`, `EIO`) or:
   *   - `ERR_MEMORYSTORE_FULL`: the file is full and nothing can be evicted;
   *   - `ERR_MEMORYSTORE_FORKED`: this process was forked from the one that opened the store;
   *   - `ERR_MEMORYSTORE_BUSY`: another process is stopped while it writes;
   *   - `ERR_MEMORYSTORE_REPLACED`: the file was removed or replaced and cannot be opened again.
   */
  interface MemoryStore<Session = any> {
    /** The options as they were given. */
    options: StoreOptions<Session>

    /** The serializer: the option, or `JSON`. */
    serializer: Serializer<Session>

    /** The native store. Do not call it. */
    store: object

    /** The `checkPeriod` timer; undefined while there is none. */
    _checkInterval: NodeJS.Timeout | undefined

    /**
     * Reads a session, which becomes the most recently used. Gives undefined if there is none or it
     * has expired. Fails with what `serializer.parse` throws.
     */
    get(sid: string): Promise<Session | undefined>
    get(sid: string, callback: (err?: any, session?: Session) => void): void

    /**
     * Writes a session, which becomes the most recently used, and renews its expiry. Fails with
     * what `serializer.stringify` throws; what was stored then stays as it was.
     *
     * A session that express-session loaded is merged with what other requests wrote meanwhile (see
     * the option `conflict`). If it was destroyed meanwhile, nothing is written, and there is no
     * error.
     *
     * @throws what `dispose` throws; without a callback, errors of the option `ttl`
     */
    set(sid: string, session: Session): Promise<void>
    set(sid: string, session: Session, callback: (err?: any) => void): void

    /**
     * Renews the expiry of a session, replaces the stored cookie by `session.cookie`, and makes the
     * session the most recently used. Does nothing if there is no session. Fails with what the
     * serializer or `dispose` throws.
     *
     * The cookie of a session that express-session loaded is merged with what other requests wrote
     * meanwhile (see the option `conflict`).
     *
     * @throws without a callback, errors of the option `ttl`
     */
    touch(sid: string, session: Session): Promise<void>
    touch(sid: string, session: Session, callback: (err?: any) => void): void

    /**
     * Removes a session, or each of an array of sids.
     *
     * @throws what `dispose` throws
     */
    destroy(sid: string | readonly string[]): Promise<void>
    destroy(sid: string | readonly string[], callback: (err?: any) => void): void

    /**
     * The sessions of a user, the one used last first. Those that have expired are not listed.
     *
     * Fails with the code `ERR_INVALID_STATE` without the option `user`, and with a TypeError
     * (`ERR_INVALID_ARG_TYPE`) if `user` is neither text nor a number nor a bigint.
     *
     * @param user the id that the option `user` gives
     * @param options `current`: a sid, whose record has `current: true`
     */
    sessionsOf(
      user: string | number | bigint,
      options?: { current?: string | undefined },
    ): Promise<UserSession<Session>[]>
    sessionsOf(
      user: string | number | bigint,
      callback: (err?: any, sessions?: UserSession<Session>[]) => void,
    ): void
    sessionsOf(
      user: string | number | bigint,
      options: { current?: string | undefined } | undefined,
      callback: (err?: any, sessions?: UserSession<Session>[]) => void,
    ): void

    /**
     * Ends the sessions of a user: all, all but one, or one by its handle. Gives how many. Requests
     * under way cannot write them back. A login that runs at the same time is ended, or comes after.
     *
     * Fails as `sessionsOf` does, and with a TypeError (`ERR_INVALID_ARG_TYPE`) if `except` or `only`
     * is given but is no sid or handle, or if anything else is given.
     */
    destroyUser(user: string | number | bigint, options?: DestroyUserOptions): Promise<number>
    destroyUser(user: string | number | bigint, callback: (err?: any, count?: number) => void): void
    destroyUser(
      user: string | number | bigint,
      options: DestroyUserOptions | undefined,
      callback: (err?: any, count?: number) => void,
    ): void

    /**
     * What is known of a session, without using or renewing it; undefined if there is none. Works
     * without the option `user` too.
     */
    info(sid: string): Promise<SessionInfo<Session> | undefined>
    info(sid: string, callback: (err?: any, info?: SessionInfo<Session>) => void): void

    /**
     * Calls `fn` once when the session has ended: it was destroyed, cleared or evicted, or has
     * expired, in whichever process or machine. `fn` is called in the next turn of the event loop
     * if this store destroys or clears the session, or if there is none; otherwise within about a
     * second. It is never called after `close`. What it throws is an uncaught exception.
     *
     * ```js
     * const stop = store.watch(req.sessionID, () => socket.close())
     * socket.on('close', stop)
     * ```
     *
     * Watching does not count as use of the session, and keeps neither the process nor the store
     * alive. While a server does not answer, nothing counts as ended.
     *
     * @returns a function that ends the watching
     * @throws {TypeError} with the code `ERR_INVALID_ARG_TYPE` if the sid is not text, or `fn` is
     *   not a function
     * @throws an Error with the code `ERR_MEMORYSTORE_CLOSED` after `close`
     */
    watch(sid: string, fn: () => void): () => void

    /** Lists the sids, the most recently used first, including expired ones still stored. */
    ids(): Promise<string[]>
    ids(callback: (err?: any, sids?: string[]) => void): void

    /**
     * Reads all sessions, the most recently used first, into an object by sid. The object has no
     * prototype. If there are more than 2000, it has every session that was in the store from the
     * call to the callback, and may have others. For very many sessions prefer `entries`. Removes
     * expired sessions. Fails with what `serializer.parse` or `dispose` throws.
     */
    all(): Promise<{ [sid: string]: Session }>
    all(callback: (err?: any, sessions?: { [sid: string]: Session }) => void): void

    /**
     * Iterates over the sids, the most recently used first, including expired ones that are still
     * stored. Every sid that is in the store during the whole iteration comes exactly once. The
     * event loop turns in between.
     */
    keys(): AsyncGenerator<string, void, undefined>

    /**
     * Iterates over the sessions, as `[sid, session]`, the most recently used first. Every session
     * that is in the store during the whole iteration comes exactly once, in its state at that
     * moment. Reading it does not count as use. Removes expired sessions. Throws what
     * `serializer.parse` or `dispose` throws.
     *
     * ```js
     * for await (const [sid, session] of store.entries()) console.log(session.user)
     * ```
     */
    entries(): AsyncGenerator<[sid: string, session: Session], void, undefined>

    /**
     * Returns what the store holds and has done.
     *
     * @throws an Error with the code `ERR_MEMORYSTORE_CLOSED` after `close`
     */
    stats(): Stats

    /**
     * Removes all sessions. If there are more than 1000, `dispose` is called for a few hundred per
     * turn of the event loop, and the callback comes after the last.
     *
     * @throws what `dispose` throws
     */
    clear(): Promise<void>
    clear(callback: (err?: any) => void): void

    /** Counts the sessions, including expired ones that are still stored. */
    length(): Promise<number>
    length(callback: (err?: any, length?: number) => void): void

    /**
     * Removes all expired sessions and keeps the order of the others. The first few hundred are
     * removed at once, the rest in the background. The callback comes when all are removed and
     * `dispose` has been called for them.
     *
     * @throws what `dispose` throws
     */
    prune(): Promise<void>
    prune(callback: (err?: any) => void): void

    /**
     * Starts the `checkPeriod` timer, or restarts it if it is running. The constructor does this.
     * Does nothing if `checkPeriod` is not a finite number above 0.
     *
     * @throws an Error with the code `ERR_MEMORYSTORE_CLOSED` after `close`
     */
    startInterval(): void

    /** Stops the `checkPeriod` timer. */
    stopInterval(): void

    /**
     * Stops the timers and frees the store. The sessions of a store on a `path` stay: they are
     * written to the disk. The file is closed with the last store that the process has on it.
     * Methods called later fail with the code `ERR_MEMORYSTORE_CLOSED`; a second `close` does
     * nothing.
     *
     * @throws what `dispose` throws
     */
    close(): Promise<void>
    close(callback: (err?: any) => void): void
  }

  /** The class that `createMemoryStore` returns. */
  interface MemoryStoreClass<Session, Base> {
    /**
     * Makes a store. It is empty, unless its `name` or `path` already has sessions.
     *
     * An invalid option value acts as in memorystore 1.6.8, and a process warning with the code
     * `MEMORYSTORE_OPTION` names the option.
     *
     * @param options the options, or the `checkPeriod` in milliseconds
     * @throws {TypeError} if `options` is null, or `name`, `path` or `mapSize` cannot be used
     * @throws {RangeError} if `mapSize` is less than 1 MiB
     * @throws an Error with the code `ERR_MEMORYSTORE_NAME` or `ERR_MEMORYSTORE_PATH` if a store of
     *   this process with the same `name` or `path` has other options
     * @throws an Error if the folder of `path` cannot be used. Its `code` is that of the system,
     *   one that methods fail with, or:
     *   - `ERR_MEMORYSTORE_NETWORK`: the folder is on a network file system;
     *   - `ERR_MEMORYSTORE_UNSAFE`: another user owns it or can write to it;
     *   - `ERR_MEMORYSTORE_SECOND_COPY`: another copy of this package has it open in this process;
     *   - `ERR_MEMORYSTORE_SAME_PID`: a process of another container with the same process id has
     *     it open;
     *   - `ERR_MEMORYSTORE_FORMAT`: the file is damaged or has the format of another version, and
     *     another process has it open.
     */
    new (options?: MemoryStoreOptions<Session> | number): MemoryStore<Session> & Base

    /**
     * Merges the changes of two requests to one session, as the option `conflict` does by default.
     * Returns undefined if one of the three is not a plain object.
     */
    merge<Merged = Session>(base: Merged, theirs: Merged, mine: Merged): Merged | undefined

    readonly prototype: MemoryStore<Session> & Base
  }

  /** The express-session module, as far as a store needs it. */
  interface SessionModule {
    Store: abstract new (...args: any) => any
  }

  /** What the module's `Store` keeps: `SessionData` of `@types/express-session`. */
  type SessionOf<Module extends SessionModule> =
    InstanceType<Module['Store']> extends {
      set(sid: string, session: infer Session, ...rest: any[]): any
    }
      ? Session
      : any

  /** An instance of the module's `Store`. If the module is `any`, what express-session needs. */
  type BaseOf<Module extends SessionModule> = 0 extends 1 & InstanceType<Module['Store']>
    ? EventEmitter & ExpressStore
    : InstanceType<Module['Store']>

  /** What express-session's `Store` adds to its stores, as far as possible without its types. */
  interface ExpressStore {
    regenerate(req: any, callback: (err?: any) => any): void
    load(sid: string, callback: (err: any, session?: any) => any): void
    createSession(req: any, session: any): any
  }
}
