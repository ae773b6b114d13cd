// The connection: snapshot, then events from its place on, for ever. It folds what comes into the store,
// and says there how the connection stands. Where it was cut, it goes on after the last event.

import { Problem, get, keepToken, pathOf, pieces, send } from './api.js';
import { logIn } from './login.js';
import { LineParser, SseParser } from './sse.js';
import { initial, reduce } from './store.js';

/** Sessions that have ended in the first snapshot, at most. */
export const SNAPSHOT_SESSIONS = 200;
/** Without a sign of life for so long, a connection counts as lost. The daemon gives one each 15 s. */
const SILENCE_MS_MAX = 40_000;
const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 8_000;
/** A connection that held for so long was a good one: the next attempt is made at once. */
const GOOD_AFTER_MS = 5_000;
/** A tab that nobody sees gives its connections to others after so long. */
const ASLEEP_AFTER_MS = 30_000;
/** How long until a tab that had no place asks again. */
const NO_PLACE_MS = 5_000;
const UNREAD_AT_A_TIME = 8;

/** What is known, and who wants to hear of it. */
export class Store {
  state = initial();
  #listeners = new Set();

  dispatch(action) {
    const next = reduce(this.state, action);
    if (next === this.state) return;
    this.state = next;
    for (const listener of this.#listeners) listener(next);
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** How long to wait before attempt `attempt`, counted from 0. */
export function backoff(attempt, random = Math.random) {
  const most = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** attempt);
  return most * (0.5 + random() / 2);
}

/** Returns an event as the store takes it. */
export function eventOf(data) {
  const { view: session_view, ...event } = JSON.parse(data);
  return { ...event, session_view };
}

export class Live {
  #store;
  #abort = null;
  #wake = null;
  #isAsleep = false;
  #isReading = false;
  #sleepTimer = null;
  #attempt = 0;

  constructor(store) {
    this.#store = store;
    document.addEventListener('visibilitychange', () => this.#visibility());
    window.addEventListener('online', () => this.retry());
    window.addEventListener('pageshow', (event) => event.persisted && this.retry());
    this.#visibility();
  }

  get isAsleep() {
    return this.#isAsleep;
  }

  /** Tries at once instead of later. */
  retry() {
    this.#attempt = 0;
    this.#wake?.();
  }

  async run() {
    for (;;) {
      const login = await logIn();
      if (login === 'logged_in') break;
      if (login !== 'down') {
        this.#say(login);
        return;
      }
      await this.#later('down', 'The daemon does not answer.');
    }
    for (;;) {
      if (this.#isAsleep) {
        this.#say('asleep');
        await new Promise((resolve) => { this.#wake = resolve; });
        continue;
      }
      const end = await this.#once();
      if (end === 'over') return;
    }
  }

  /** One connection, from its beginning to its end. */
  async #once() {
    const begun = Date.now();
    this.#abort = new AbortController();
    const watch = new Watch(this.#abort);
    try {
      while (this.#store.state.needsSnapshot) await this.#snapshot(this.#abort.signal);
      await this.#stream(watch);
      return await this.#later('down', 'The connection to the daemon was cut.', begun);
    } catch (error) {
      if (this.#isAsleep) return 'again';
      if (error instanceof Problem && error.status === 401) {
        keepToken(null);
        this.#say('logged_out');
        return 'over';
      }
      if (error instanceof Problem && error.kind === 'too_many_streams') {
        await this.#wait('too_many', error.message, NO_PLACE_MS);
        return 'again';
      }
      const why = error instanceof Problem ? error.message : 'The connection to the daemon was cut.';
      return await this.#later('down', why, begun);
    } finally {
      watch.stop();
      this.#abort.abort();
    }
  }

  async #snapshot(signal) {
    const { epoch } = this.#store.state;
    const snapshot = await get(`/v1/snapshot?limit=${SNAPSHOT_SESSIONS}`, { signal });
    this.#store.dispatch({ type: 'snapshot', epoch, snapshot });
  }

  async #stream(watch) {
    const after = this.#store.state.cursor;
    const path = `/v1/events?after=${after}&view=session`;
    const headers = { Accept: 'text/event-stream' };
    const answer = await send('GET', path, { headers, signal: this.#abort.signal });
    this.#say('live');
    watch.sign();
    const parser = new SseParser();
    for await (const piece of pieces(answer, () => watch.sign())) {
      const told = parser.push(piece);
      const events = told.filter((one) => one.event !== 'bye').map((one) => eventOf(one.data));
      if (events.length > 0) this.#store.dispatch({ type: 'events', events });
      if (told.some((one) => one.event === 'bye')) throw new Problem('bye', 0, 'The daemon has left.');
      if (this.#store.state.needsSnapshot) await this.#snapshot(this.#abort.signal);
      if (this.#store.state.unread.size > 0) this.#readUnread();
    }
  }

  /** Reads sessions that changed and could not be told with their events. */
  async #readUnread() {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      await readUnread(this.#store, (session) => readSession(this.#store, session));
    } finally {
      this.#isReading = false;
    }
  }

  #say(phase, why = null, retryAt = null) {
    const { connection } = this.#store.state;
    if (connection.phase === phase && connection.why === why && phase !== 'down') return;
    this.#store.dispatch({ type: 'connection', phase, at: Date.now(), why, retryAt });
  }

  async #later(phase, why, begun = 0) {
    if (begun && Date.now() - begun > GOOD_AFTER_MS) this.#attempt = 0;
    await this.#wait(phase, why, backoff(this.#attempt));
    this.#attempt += 1;
    return 'again';
  }

  async #wait(phase, why, ms) {
    this.#say(phase, why, Date.now() + ms);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }

  #visibility() {
    clearTimeout(this.#sleepTimer);
    if (document.visibilityState === 'hidden') {
      this.#sleepTimer = setTimeout(() => this.#sleep(), ASLEEP_AFTER_MS);
    } else if (this.#isAsleep) {
      this.#isAsleep = false;
      document.dispatchEvent(new CustomEvent('candor:awake'));
      this.retry();
    }
  }

  #sleep() {
    this.#isAsleep = true;
    document.dispatchEvent(new CustomEvent('candor:asleep'));
    this.#abort?.abort();
  }
}

/** Ends a connection that has gone silent. */
class Watch {
  #abort;
  #timer = null;

  constructor(abort) {
    this.#abort = abort;
    this.sign();
  }

  sign() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#abort.abort(), SILENCE_MS_MAX);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

/**
 * Reads each session that is to be read once, some at a time. What cannot be read keeps nobody else from
 * being read, and is tried again with the next event.
 */
export async function readUnread(store, read) {
  const tried = new Set();
  for (;;) {
    const left = [...store.state.unread.keys()].filter((session) => !tried.has(session));
    const some = left.slice(0, UNREAD_AT_A_TIME);
    if (some.length === 0) return;
    for (const session of some) tried.add(session);
    await Promise.allSettled(some.map(read));
  }
}

/** How long until what could not be read of a session is read again. */
const READ_AGAIN_MS = 5_000;

/** Reads the session that somebody looks at, and its story, once in each epoch. */
export class StoryReader {
  #store;
  #read;
  #later;
  #session = null;
  #epoch = null;
  #timer = null;

  /** `read` does it once; `later` is `setTimeout`. */
  constructor(store, read = readStory, later = (again) => setTimeout(again, READ_AGAIN_MS)) {
    this.#store = store;
    this.#read = read;
    this.#later = later;
  }

  /** Reads `session`, if that is to be done. */
  async look(session) {
    const { needsSnapshot, epoch, connection } = this.#store.state;
    if (!session || needsSnapshot || connection.phase === 'logged_out') return;
    if (this.#session === session && this.#epoch === epoch) return;
    this.#session = session;
    this.#epoch = epoch;
    clearTimeout(this.#timer);
    try {
      await this.#read(this.#store, session);
    } catch (problem) {
      if (problem.status === 404 || problem.status === 410) return;
      if (this.#session !== session || this.#epoch !== epoch) return;
      // Some time later: whoever draws what is known asks again with each change.
      this.#timer = this.#later(() => {
        if (this.#session !== session || this.#epoch !== epoch) return;
        this.#epoch = null;
        this.look(session);
      });
      if (problem.kind === 'network') return;
      this.#store.dispatch({ type: 'notice', text: problem.message, at: Date.now() });
    }
  }

  /** Nobody looks at any. */
  stop() {
    this.#session = null;
    this.#epoch = null;
    clearTimeout(this.#timer);
  }
}

/** Reads one session with all its events. */
async function readStory(store, session) {
  const { epoch } = store.state;
  await readSession(store, session);
  const headers = { Accept: 'application/x-ndjson' };
  const answer = await send('GET', `/v1/events?session=${session}`, { headers });
  const lines = new LineParser().push(`${await answer.text()}\n`);
  const events = lines.map((line) => JSON.parse(line)).filter((event) => event.type !== 'reset');
  store.dispatch({ type: 'story_read', epoch, session, events });
}

/** Reads one session, and folds what comes of it. */
export async function readSession(store, session, signal) {
  const { epoch, cursor: asOf } = store.state;
  try {
    const view = await get(pathOf(session), { signal });
    store.dispatch({ type: 'session', epoch, asOf, view });
  } catch (error) {
    if (!(error instanceof Problem) || (error.status !== 404 && error.status !== 410)) throw error;
    store.dispatch({ type: 'gone', epoch, session });
  }
}
