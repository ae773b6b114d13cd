// What the page knows: a pure function of the snapshots, the events, the answers to requests and what is
// known of the connection. It has no document, no clock and no network, and is the only thing that views
// read.
//
// A status comes from the log alone. The newest revision of a session stands, whichever way it came, so
// that an old page of a list, a late answer or a repeated event changes nothing. What somebody has asked
// for is pending, beside the status, until the log tells what came of it.

/** Removed sessions that are remembered, so that an older page does not bring one back. */
export const REMOVED_MAX = 10_000;
/** Changes of counts that are kept until a snapshot says where it stands. */
export const DELTAS_MAX = 10_000;
/** Events of the session whose story is open. */
export const STORY_EVENTS_MAX = 10_000;
/** The last changes of statuses, which are announced. */
export const CHANGES_MAX = 50;
/** Sentences to the user that stand at the same time. */
export const NOTICES_MAX = 4;

const TERMINAL = new Set(['completed', 'failed', 'lost']);

export const STATUSES = [
  'waiting_input', 'running', 'completing', 'starting', 'queued', 'failed', 'lost', 'completed',
];

export function isTerminal(status) {
  return TERMINAL.has(status);
}

export function initial() {
  return {
    /** Counts the times that all had to be looked at anew. What was asked before one is not believed. */
    epoch: 0,
    /** The place of the last event; null before the first snapshot. */
    cursor: null,
    needsSnapshot: true,
    /** By id: the session as it was last told, and the place up to which that holds. */
    sessions: new Map(),
    removed: new Map(),
    /** How many sessions there are of each status; null until it is known. */
    counts: null,
    deltas: [],
    /** From where older sessions can be read; null when there are no more. */
    older: null,
    /** By id: the revision of sessions that changed and were not told with the event. */
    unread: new Map(),
    pending: new Map(),
    /** The changes of one session, which somebody looks at. */
    story: null,
    changes: [],
    changesSeen: 0,
    notices: [],
    connection: { phase: 'opening', at: null, why: null, lastLiveAt: null },
  };
}

/** Returns what is known after `action`. Neither is changed. */
export function reduce(state, action) {
  const step = STEPS[action.type];
  if (!step) throw new Error(`the store knows no action ${action.type}`);
  return settled(step(state, action));
}

const STEPS = {
  snapshot,
  events: (state, { events }) => events.reduce(folded, draftOf(state)),
  page: (state, { epoch, asOf, sessions, older }) => {
    if (epoch !== state.epoch) return state;
    const draft = draftOf(state);
    for (const view of sessions) merge(draft, view, asOf ?? 0);
    return older === undefined ? draft : { ...draft, older };
  },
  session: (state, { epoch, asOf, view }) => {
    if (epoch !== state.epoch) return state;
    const draft = draftOf(state);
    merge(draft, view, asOf ?? 0);
    return draft;
  },
  // The answer that a session is not there. It says nothing of when it went.
  gone: (state, { epoch, session }) => {
    if (epoch !== state.epoch) return state;
    const draft = draftOf(state);
    forget(draft, session, state.cursor ?? 0);
    return draft;
  },
  connection: (state, { phase, at, why = null, retryAt = null }) => {
    const { connection } = state;
    const wasLive = connection.phase === 'live';
    const lastLiveAt = wasLive && phase !== 'live' ? at : connection.lastLiveAt;
    return { ...state, connection: { phase, at, why, retryAt, lastLiveAt } };
  },
  story_opened: (state, { session }) => {
    if (state.story?.session === session) return state;
    return { ...state, story: { session, events: [], isWhole: false } };
  },
  story_read: (state, { epoch, session, events }) => {
    if (epoch !== state.epoch || state.story?.session !== session) return state;
    return { ...state, story: { session, events: united(state.story.events, events), isWhole: true } };
  },
  story_closed: (state) => ({ ...state, story: null }),
  action_started: (state, { key, kind, session, at, request = null }) => {
    const pending = new Map(state.pending);
    pending.set(key, { key, kind, session, at, request, isTaken: false, revision: null, result: null });
    return { ...state, pending };
  },
  action_answered: (state, { key, revision = null, result = null }) => {
    const action = state.pending.get(key);
    if (!action) return state;
    const pending = new Map(state.pending);
    pending.set(key, { ...action, isTaken: true, revision, result });
    return { ...state, pending };
  },
  action_refused: (state, { key, text, at }) => {
    const pending = new Map(state.pending);
    pending.delete(key);
    return noticed({ ...state, pending }, { text, at, kind: 'problem' });
  },
  notice: (state, { text, at, kind = 'problem' }) => noticed(state, { text, at, kind }),
  notice_dismissed: (state, { number }) => (
    { ...state, notices: state.notices.filter((notice) => notice.number !== number) }
  ),
};

function noticed(state, notice) {
  const number = (state.notices.at(-1)?.number ?? 0) + 1;
  const others = state.notices.filter((other) => other.text !== notice.text);
  return { ...state, notices: [...others, { ...notice, number }].slice(-NOTICES_MAX) };
}

function draftOf(state) {
  return {
    ...state,
    sessions: new Map(state.sessions),
    removed: new Map(state.removed),
    unread: new Map(state.unread),
    counts: state.counts && { ...state.counts },
    deltas: state.deltas.slice(),
    changes: state.changes.slice(),
  };
}

/** Takes a snapshot: the truth up to its place, and nothing beyond. */
function snapshot(state, { epoch, snapshot: { seq, sessions, counts, next } }) {
  if (epoch !== state.epoch) return state;
  // Too many changes were told meanwhile to say what they make of its counts: another one is asked for.
  const first = state.deltas[0];
  if (state.needsSnapshot && state.deltas.length === DELTAS_MAX && seq < first.seq) return state;
  const draft = draftOf(state);
  if (state.needsSnapshot) {
    const told = new Set(sessions.map((view) => view.id));
    for (const [id, entry] of draft.sessions) {
      if (!told.has(id) && entry.seq <= seq) draft.sessions.delete(id);
    }
    draft.counts = { ...counts };
    for (const delta of draft.deltas) {
      if (delta.seq > seq) count(draft.counts, delta);
    }
    draft.deltas = [];
    draft.older = next;
    draft.needsSnapshot = false;
    // What it has let go of must not come back by a list that was asked for before.
    draft.epoch += 1;
    draft.cursor = Math.max(draft.cursor ?? 0, seq);
  }
  // Where none was needed, its sessions are news and its place is not: the removals before it are to come.
  for (const view of sessions) merge(draft, view, seq);
  return draft;
}

/** Folds one event into a draft, and returns it. */
function folded(draft, event) {
  if (event.type === 'reset') return reset(draft, event);
  // It was told before.
  if (draft.cursor !== null && event.seq <= draft.cursor) return draft;
  draft.cursor = event.seq;
  const delta = { seq: event.seq, from: event.from, to: event.to };
  if (draft.needsSnapshot) {
    draft.deltas.push(delta);
    if (draft.deltas.length > DELTAS_MAX) draft.deltas.shift();
  } else if (draft.counts) {
    count(draft.counts, delta);
  }
  if (draft.story?.session === event.session) {
    draft.story = { ...draft.story, events: united(draft.story.events, [bare(event)]) };
  }
  if (event.type === 'session_removed') {
    forget(draft, event.session, event.seq);
    return draft;
  }
  if (event.session_view) {
    merge(draft, event.session_view, event.seq);
  } else {
    patch(draft, event);
  }
  if (event.type === 'status_changed') {
    const { seq, session, from, to, outcome } = event;
    draft.changes = [...draft.changes, { seq, session, from, to, outcome }].slice(-CHANGES_MAX);
  }
  return draft;
}

/** Something that was told is gone, or was never true of this store: all is looked at anew. */
function reset(draft, { seq, reason }) {
  const anew = { ...draft, epoch: draft.epoch + 1, needsSnapshot: true, deltas: [], cursor: seq };
  if (reason !== 'cursor_ahead') return anew;
  // An older copy of the store was put back: what was told of it may never have been.
  const empty = initial();
  const kept = { epoch: anew.epoch, cursor: seq, notices: draft.notices, connection: draft.connection };
  const story = draft.story && { session: draft.story.session, events: [], isWhole: false };
  return { ...empty, ...kept, story };
}

/** Takes a session as it was told, unless something newer is known of it. */
function merge(draft, view, seq) {
  if (draft.removed.has(view.id)) return;
  if (view.revision >= (draft.unread.get(view.id) ?? 0)) draft.unread.delete(view.id);
  const known = draft.sessions.get(view.id);
  if (!known) {
    draft.sessions.set(view.id, { view, seq, isPartial: false });
    return;
  }
  const place = Math.max(known.seq, seq);
  if (isOlder(view, known)) {
    draft.sessions.set(view.id, { ...known, seq: place });
    return;
  }
  draft.sessions.set(view.id, { view, seq: place, isPartial: false });
}

/** Says whether what is told of a session is older than what is known. */
function isOlder(view, { view: known, isPartial }) {
  // Nothing follows an end.
  if (isTerminal(known.status) && view.status !== known.status) return true;
  if (view.revision !== known.revision) return view.revision < known.revision;
  // An equal revision with another status would be another store's.
  if (view.status !== known.status) return true;
  if (isPartial) return false;
  return (view.agent?.printed_at ?? '') < (known.agent?.printed_at ?? '');
}

/** Takes from an event what it says of a session that was not told along with it. */
function patch(draft, event) {
  const known = draft.sessions.get(event.session);
  if (draft.removed.has(event.session)) return;
  draft.unread.set(event.session, Math.max(event.revision, draft.unread.get(event.session) ?? 0));
  if (!known || event.revision <= known.view.revision || isTerminal(known.view.status)) return;
  const { revision, to: status, outcome } = event;
  const ended = isTerminal(status) ? { ended_at: event.at } : {};
  const view = { ...known.view, revision, status, outcome, ...ended };
  draft.sessions.set(event.session, { view, seq: event.seq, isPartial: true });
}

function forget(draft, session, seq) {
  draft.sessions.delete(session);
  draft.unread.delete(session);
  draft.removed.set(session, seq);
  if (draft.removed.size > REMOVED_MAX) draft.removed.delete(draft.removed.keys().next().value);
}

function count(counts, { from, to }) {
  if (from === to) return;
  if (from) counts[from] = Math.max(0, (counts[from] ?? 0) - 1);
  if (to) counts[to] = (counts[to] ?? 0) + 1;
}

function bare(event) {
  const { session_view: _left, ...rest } = event;
  return rest;
}

/** Unites two lists of events in the order of their places, each once. */
function united(some, more) {
  const bySeq = new Map(some.map((event) => [event.seq, event]));
  for (const event of more) bySeq.set(event.seq, bare(event));
  const all = [...bySeq.values()].sort((one, other) => one.seq - other.seq);
  return all.slice(-STORY_EVENTS_MAX);
}

/** Lets go of what was pending and has been told. */
function settled(state) {
  if (state.pending.size === 0) return state;
  const left = [...state.pending].filter(([, action]) => !isSettled(state, action));
  return left.length === state.pending.size ? state : { ...state, pending: new Map(left) };
}

function isSettled(state, action) {
  const { kind, session, isTaken, revision, result, request } = action;
  if (session && state.removed.has(session)) return true;
  if (!isTaken) return false;
  // Its removal may lie before a snapshot that does not have it any more.
  if (kind === 'delete') return !state.sessions.has(session);
  if (kind === 'launch' || kind === 'continue') {
    return state.sessions.has(result) || state.removed.has(result);
  }
  if (kind === 'message') return true;
  const view = state.sessions.get(session)?.view;
  if (!view) return true;
  if (kind === 'answer') {
    const asked = view.requests.find((one) => one.number === request);
    return view.revision >= (revision ?? 0) && asked?.state !== 'open';
  }
  return view.revision >= (revision ?? 0);
}
