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
 * The type of a session is what the module's `Store` takes: with `@types/express-session` it is
 * `SessionData`, with all that was added to it by declaration merging.
 *
 * @param session the express-session module
 * @throws {TypeError} where `session` is given and has no class `Store`
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
 * app.register(fastifySession, { secret, store: new MemoryStore({ checkPeriod: 86400000 }) })
 * ```
 */
declare function createMemoryStore<Session = any>(
  session?: undefined,
): createMemoryStore.MemoryStoreClass<Session, EventEmitter>

declare namespace createMemoryStore {
  /** Options of `new MemoryStore(options)`. All of them can be left out. */
  interface MemoryStoreOptions<Session = any> {
    /**
     * How often sessions that have expired are removed, in milliseconds: any finite number above
     * 0. A background thread removes them; the timer does not keep the process alive.
     *
     * Default: never. An expired session then stays in memory, and counts, until `get`, `touch`,
     * `all`, `prune`, `max` or the same sid removes it.
     */
    checkPeriod?: number | undefined

    /**
     * The most sessions to keep. When there are more, the least recently used ones are removed:
     * a few hundred at once, and very many in the background. Expired ones count until they have
     * been removed. What is not a positive number is no limit.
     *
     * Default: `Infinity`.
     */
    max?: number | undefined

    /**
     * The most memory to use for sessions, in bytes: sids, bodies and what the store itself needs
     * for them. When it is exceeded, the least recently used sessions are removed. A session that
     * alone takes more is refused with a RangeError with the code `ERR_MEMORYSTORE_TOO_LARGE`, and
     * what was stored stays as it was. What is not a positive number is no limit.
     *
     * Default: `Infinity`.
     */
    maxBytes?: number | undefined

    /**
     * How long a session lives after `set` and `touch`, in milliseconds, or a function that tells.
     * 0, `undefined` and `NaN` are for ever; a negative number is expired at once.
     *
     * Anything else is a TypeError to the callback of `set` and `touch`, and so is what the function
     * returns if it is neither a number nor digits nor one of these; what the function throws goes
     * there too. Where there is no callback, they throw it.
     *
     * Default: the `maxAge` of the session's cookie, without fractions (0 or less is expired at
     * once), or one day where that is not a number.
     */
    ttl?: number | TtlFunction<Session> | undefined

    /**
     * Called for every session that leaves the store, right after it did: because it expired, was
     * evicted by `max`, destroyed, cleared, or dropped by `close`; and for a body that was
     * overwritten by `set` or `touch` (but see `noDisposeOnSet`). It may use the store.
     *
     * It runs inside the call that removed the session. For what the background thread removed
     * every `checkPeriod` it runs a few milliseconds later.
     *
     * What it throws is thrown from the call that caused it, once that has done all its work; in
     * `touch` and `all` it goes to the callback. Where no call caused it, it is an uncaught
     * exception.
     *
     * Default: none.
     *
     * @param sid the session's id
     * @param body what `serializer.stringify` returned: JSON text by default
     */
    dispose?: ((sid: string, body: string | Buffer | Uint8Array) => void) | undefined

    /**
     * Whether `get` and `all` return an expired session once more when they come across it.
     *
     * Default: `false`.
     */
    stale?: boolean | undefined

    /**
     * Whether `dispose` is left out for a body that is overwritten by `set` or `touch`.
     *
     * Default: `false`.
     */
    noDisposeOnSet?: boolean | undefined

    /**
     * What `set` does with a session that it loaded for express-session and that another request
     * has written since.
     *
     * `'merge'` keeps the changes of both, by key, at every depth of plain objects: a key that one
     * of them changed, added or deleted is as that one left it. Where both changed a key that is no
     * plain object in both (an array is one value), the later one counts; but an object that one of
     * them deleted, or set to null or `{}`, stays so if the other only changed what is inside. The
     * cookie is merged by member, in `touch` too: a lifetime that one of them set stays, and of two
     * renewals the later. Sessions that `serializer.parse` makes no plain objects of are
     * overwritten.
     *
     * `'overwrite'` keeps the later one alone.
     *
     * A function makes the session to write of the three; it is called only where another request
     * came between, and maybe more than once for a write. What it throws goes to the callback of
     * `set`, and nothing is written. The cookie is merged as above unless it returns one of its own.
     *
     * Whichever it is, a session that was destroyed since it was loaded is not written.
     *
     * Default: `'merge'`.
     */
    conflict?: 'merge' | 'overwrite' | ConflictFunction<Session> | undefined

    /**
     * What `set` does with a sid that was destroyed, for a session that it did not load for
     * express-session. `'forgotten'`: writes it. `'final'`: writes nothing for ten minutes, and
     * gives no error. Of what `clear` removes, it is final for up to 10,000 sessions.
     *
     * Use `'final'` with frameworks that do not call `createSession`, such as `@fastify/session`,
     * so that a request that ends after a logout does not undo it.
     *
     * Default: `'forgotten'`.
     */
    destroyed?: 'forgotten' | 'final' | undefined

    /**
     * A touch that would put a session's expiry off by less than this is left out, in
     * milliseconds; its cookie is not stored either. It counts as a use of the session. Choose it
     * well below the lifetime, for a session in use can expire that much earlier.
     *
     * Default: 0, every touch is done.
     */
    touchAfter?: number | undefined

    /**
     * A name by which all stores of this process that are given it, in all worker threads, have
     * the same sessions. They go when the last of these stores is closed or collected as garbage,
     * or its thread ends.
     *
     * All of them have to use the same `serializer`, which is not compared. The stores of a name have to agree in `max`, `maxBytes`, `stale`, `noDisposeOnSet`,
     * `destroyed`, `touchAfter`, and in whether there is a `dispose`; the constructor throws an
     * error with the code `ERR_MEMORYSTORE_NAME` otherwise. `dispose` is called in the thread
     * that removed the session; for what the background thread removed, in any one that has a
     * `checkPeriod`.
     *
     * Default: none, the sessions are this store's own.
     */
    name?: string | undefined

    /**
     * A folder (or its `file:` URL) in which the sessions are kept in a file. All stores of the
     * machine that are given it have the same sessions, in all processes and worker threads, and
     * they outlive them: a restart, a deploy or a process that is killed loses none that `set` or
     * `touch` has called back for. `close` and the end of the process keep them.
     *
     * The folder is made if need be (mode 0700; the files have 0600). It has to be on a local disk:
     * on a network file system that is recognised, and where it cannot be written, the constructor
     * throws an error that names the path and the cause, with the system's `code`. On Unix it must
     * be nobody else's, nor may others write to it. A file that is
     * damaged is moved aside, the store starts empty, and a process warning with the code
     * `MEMORYSTORE_RS_DAMAGED` tells both names.
     *
     * What differs from a store in memory: the order of `ids`, `all`, `keys` and `entries` is the
     * latest expiry first, and what expires soonest is evicted first, which is the same where all
     * sessions have one lifetime and are touched when they are used (of those that expire in the
     * same millisecond, the one written or touched longest ago goes first); a sid has between 1 and
     * 503 bytes (`set` refuses others); the counts of `stats` and what `dispose` is called for are this process's.
     *
     * The stores of one process have to agree in the options that `name` lists, and in `mapSize`;
     * the constructor throws an error with the code `ERR_MEMORYSTORE_PATH` otherwise. All
     * processes should use the same options and the same `serializer`. `path` and `name` exclude
     * each other. A process that was forked by `fork(2)` itself, not by `node:child_process` or
     * `node:cluster`, has to open a store of its own.
     *
     * Where the folder or its files are removed or replaced while they are open, the store goes on
     * with what is there a second later, and a process warning with the code
     * `MEMORYSTORE_RS_REPLACED` says so.
     *
     * Default: none, the sessions are in memory.
     */
    path?: string | URL | undefined

    /**
     * How large the file of `path` may become, in bytes: a whole number, 1 MiB or more. So much of
     * the address space is taken, but of the disk only what is used. Sessions take half of it at
     * the most; when they would take more, those that expire soonest are removed. It makes room for
     * some 2.3 million sessions of 400 bytes, or 475,000 of 4 kB, by default. One session may be as
     * long as an eighth of it, and 256 MiB at the most: that always finds room. The smallest size is
     * 256 pages of the system that makes the file; what is less counts as that.
     *
     * Default: 4 GiB.
     */
    mapSize?: number | undefined

    /**
     * How often what was written to the file of `path` is put on the disk, in milliseconds; 0
     * leaves it to the operating system. It is done in the background, if this process has written
     * anything, and once more by `close`. It concerns power failures and crashes of the operating
     * system only: what is written is the system's at once, and a process that crashes or is
     * killed loses none of it.
     *
     * After a power failure the file is as it was at some moment since the last time, or, where
     * the system had put some of it on the disk and not the rest, damaged: that is found out when
     * it is opened next, and the store starts empty. Where it cannot be put on the disk, a process
     * warning with the code `MEMORYSTORE_RS_SYNC` tells why.
     *
     * Default: 1000.
     */
    syncPeriod?: number | undefined

    /**
     * How a session becomes the text or the bytes that are stored, and a session again.
     *
     * Default: `JSON`.
     */
    serializer?: Serializer<Session> | undefined
  }

  /**
   * Tells how long a session lives from now on, in milliseconds. 0, `undefined` and `NaN` are for
   * ever; a negative number is expired at once.
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
   * Makes one session of what two requests made of it.
   *
   * ```js
   * // Counts the views of both, and merges everything else.
   * const conflict = (base, theirs, mine) => ({
   *   ...MemoryStore.merge(base, theirs, mine),
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

  /** How sessions become what is stored, and back. What it throws goes to the callback. */
  interface Serializer<Session = any> {
    /**
     * Returns the session as text or bytes. Anything else is a TypeError to the callback of `set`
     * or `touch`, and what was stored stays as it was. An empty text counts as no session.
     */
    stringify(session: Session): string | Buffer | Uint8Array

    /**
     * Returns the session again, from exactly what `stringify` had returned: a new object each
     * time, for two requests change theirs.
     */
    parse(body: any): unknown
  }

  /** What `store.options` holds: the options as they were given, without the serializer. */
  interface StoreOptions<Session = any> {
    checkPeriod: number | undefined
    /** `Infinity` where it was not given. */
    max: number
    // These are not there where they were not given.
    maxBytes?: number
    conflict?: 'merge' | 'overwrite' | ConflictFunction<Session>
    destroyed?: 'forgotten' | 'final'
    touchAfter?: number
    name?: string
    path?: string | URL
    mapSize?: number
    syncPeriod?: number
    ttl: number | TtlFunction<Session> | undefined
    dispose: ((sid: string, body: string | Buffer | Uint8Array) => void) | undefined
    stale: boolean | undefined
    noDisposeOnSet: boolean | undefined
  }

  /** What `store.stats()` returns. Counts are since the store was made. */
  interface Stats {
    /** Sessions in the store; expired ones that are still stored too. */
    sessions: number
    /** What they take, in bytes, as `maxBytes` counts it. */
    bytes: number
    /** Calls of `get` that found a session. */
    hits: number
    /** Calls of `get` that found none. */
    misses: number
    /** Sessions written by `set`. */
    sets: number
    /** Those of them in which the changes of two requests were merged. */
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
    /** Prunes that were done, by `checkPeriod` or by hand. */
    prunes: number
    /** How long the last of them took from its beginning to its end, in milliseconds. */
    lastPruneMs: number
  }

  /**
   * The methods of a store.
   *
   * Every callback is optional and called exactly once, always later, and those of calls that are
   * answered at once in the order of the calls. Where there are more than 2000 sessions, `ids` and `all` work in slices between which
   * the event loop turns, and `prune` waits for the background
   * thread: their callbacks come when they are done. Without one, the method returns a promise; one that is rejected and that nobody awaits
   * is ignored. The result is that of the moment of the call.
   *
   * Errors that go to the callback or reject the promise:
   * - a TypeError with the code `ERR_INVALID_ARG_TYPE` for a sid that is no string. A number,
   *   boolean or bigint counts as its text.
   * - a RangeError with the code `ERR_MEMORYSTORE_TOO_LARGE` for a session larger than `maxBytes`,
   *   and on a `path` for one longer than an eighth of `mapSize` or than 256 MiB, and for a sid of
   *   more than 503 bytes; `ERR_INVALID_ARG_VALUE` for an empty one.
   * - an Error with the code `ERR_MEMORYSTORE_CLOSED` from every method once `close` was called.
   * - in a store on a `path`, an Error that names the path and the cause where the file cannot be
   *   read or written, with the system's `code` (`ENOSPC`, `EIO`) or one of its own: where it is
   *   full and nothing can be removed `ERR_MEMORYSTORE_FULL`, in a process that was forked off the
   *   one that opened it `ERR_MEMORYSTORE_FORKED`, where another process holds the file and does
   *   not go on `ERR_MEMORYSTORE_BUSY`, where the file was removed or replaced and could not be
   *   opened again `ERR_MEMORYSTORE_REPLACED`. What a call began is not done then.
   */
  interface MemoryStore<Session = any> {
    /** The options as they were given. */
    options: StoreOptions<Session>

    /** The serializer: the option, or `JSON`. */
    serializer: Serializer<Session>

    /** The native store. It is not meant to be called. */
    store: object

    /** The timer behind `checkPeriod`; undefined while there is none. */
    _checkInterval: NodeJS.Timeout | undefined

    /**
     * Reads a session, which becomes the most recently used. Gives undefined where there is none
     * or it has expired. Fails with what `serializer.parse` throws.
     */
    get(sid: string): Promise<Session | undefined>
    get(sid: string, callback: (err?: any, session?: Session) => void): void

    /**
     * Writes a session, which becomes the most recently used, and renews its expiry. Fails with
     * what `serializer.stringify` throws; what was stored then stays as it was.
     *
     * A session that express-session loaded is written with what other requests made of it
     * meanwhile (see the option `conflict`), and not at all if it was destroyed meanwhile; that is
     * no error.
     *
     * @throws what `dispose` throws; without a callback, what is wrong with the option `ttl`
     */
    set(sid: string, session: Session): Promise<void>
    set(sid: string, session: Session, callback: (err?: any) => void): void

    /**
     * Renews the expiry of a session, replaces the cookie that is stored by `session.cookie`, and
     * makes it the most recently used. Does nothing where there is no session. Fails with what
     * the serializer or `dispose` throws.
     *
     * For a session that express-session loaded, the cookie is merged with what other requests made
     * of it meanwhile (see the option `conflict`).
     *
     * @throws without a callback, what is wrong with the option `ttl`
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

    /** Lists the sids, the most recently used first; expired ones that are still stored too. */
    ids(): Promise<string[]>
    ids(callback: (err?: any, sids?: string[]) => void): void

    /**
     * Reads all sessions, the most recently used first, into an object by sid that has no
     * prototype. Where there are more than 2000, it has each session that was there from the call
     * to the callback, and may have others. For very many sessions prefer `entries`. Removes those that have expired. Fails with what `serializer.parse` or `dispose`
     * throws.
     */
    all(): Promise<{ [sid: string]: Session }>
    all(callback: (err?: any, sessions?: { [sid: string]: Session }) => void): void

    /**
     * Goes through the sids, the most recently used first; expired ones that are still stored too.
     * Every sid that is there all the while comes once. The event loop turns in between.
     */
    keys(): AsyncGenerator<string, void, undefined>

    /**
     * Goes through the sessions, as `[sid, session]`, the most recently used first. Every session
     * that is there all the while comes once, as it is when it comes; reading it does not count as
     * use. Removes those that have expired. Throws what `serializer.parse` or `dispose` throws.
     *
     * ```js
     * for await (const [sid, session] of store.entries()) console.log(session.user)
     * ```
     */
    entries(): AsyncGenerator<[sid: string, session: Session], void, undefined>

    /**
     * Tells what the store holds and has done.
     *
     * @throws an Error with the code `ERR_MEMORYSTORE_CLOSED` once `close` was called
     */
    stats(): Stats

    /**
     * Removes all sessions. Of more than 1000, `dispose` is called for a few hundred a turn, and
     * the callback comes after the last.
     *
     * @throws what `dispose` throws
     */
    clear(): Promise<void>
    clear(callback: (err?: any) => void): void

    /** Counts the sessions; expired ones that have not been removed yet too. */
    length(): Promise<number>
    length(callback: (err?: any, length?: number) => void): void

    /**
     * Removes all sessions that have expired and keeps the order of the others: the first couple
     * of hundred at once, the rest in the background. The callback comes when all are gone, and
     * disposed of.
     *
     * @throws what `dispose` throws
     */
    prune(): Promise<void>
    prune(callback: (err?: any) => void): void

    /**
     * Starts the timer behind `checkPeriod`, from the beginning if it runs. The constructor does
     * this. Does nothing where `checkPeriod` is not a finite number above 0.
     *
     * @throws an Error with the code `ERR_MEMORYSTORE_CLOSED` once `close` was called
     */
    startInterval(): void

    /** Stops the timer behind `checkPeriod`. */
    stopInterval(): void

    /**
     * Stops the timer and frees the store. The sessions of a store on a `path` are kept; they are
     * put on the disk, and when the last store of the process has done so the file is let go. Methods that are called later fail with the code
     * `ERR_MEMORYSTORE_CLOSED`; a second `close` does nothing.
     *
     * @throws what `dispose` throws
     */
    close(): Promise<void>
    close(callback: (err?: any) => void): void
  }

  /** The class that `createMemoryStore` returns. */
  interface MemoryStoreClass<Session, Base> {
    /**
     * Makes an empty store.
     *
     * An option whose value makes no sense acts as in memorystore 1.6.8, and a process warning
     * with the code `MEMORYSTORE_OPTION` names it.
     *
     * @param options the options, or the `checkPeriod` in milliseconds
     * @throws {TypeError} where `options` is null, or `name`, `path` or `mapSize` cannot be used
     * @throws an Error where the folder of `path` cannot be used, with the system's `code`, or
     *   `ERR_MEMORYSTORE_NETWORK` where it is on a network file system, `ERR_MEMORYSTORE_UNSAFE`
     *   where others own it or can write to it, `ERR_MEMORYSTORE_SECOND_COPY` where another copy of
     *   this package has it open in this process, `ERR_MEMORYSTORE_FORMAT` where another process has
     *   a file there that is damaged or of another version's format, and what the methods may fail
     *   with
     */
    new (options?: MemoryStoreOptions<Session> | number): MemoryStore<Session> & Base

    /**
     * Merges what two requests made of one session, as the option `conflict` does by default.
     * Undefined where one of the three is no plain object.
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

  /** What the module's `Store` makes. Where the module is `any`, what express-session needs. */
  type BaseOf<Module extends SessionModule> = 0 extends 1 & InstanceType<Module['Store']>
    ? EventEmitter & ExpressStore
    : InstanceType<Module['Store']>

  /** What express-session's `Store` adds to its stores, as far as it can be said without its types. */
  interface ExpressStore {
    regenerate(req: any, callback: (err?: any) => any): void
    load(sid: string, callback: (err: any, session?: any) => any): void
    createSession(req: any, session: any): any
  }
}
