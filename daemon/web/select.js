// What views make of the store: which sessions are shown in which order, what is asked, what is pending.
// As pure as the store.

import { STATUSES, isTerminal } from './store.js';
import { text } from './words.js';

/** Returns the time up to which something is known: while nothing is heard it stands still. */
export function knownAt({ connection }, now) {
  return connection.phase === 'live' ? now : connection.lastLiveAt ?? now;
}

/** Returns what is open, the oldest first. */
export function openApprovals(state) {
  const open = [];
  for (const { view } of state.sessions.values()) {
    if (isTerminal(view.status)) continue;
    for (const request of view.requests) {
      if (request.state === 'open') open.push({ view, request });
    }
  }
  return open.sort((one, other) => compare(one.request.opened_at, other.request.opened_at)
    || compare(one.request.id, other.request.id));
}

/** Returns what is pending of a session. */
export function pendingOf(state, session) {
  return [...state.pending.values()].filter((action) => action.session === session);
}

/** Returns the sessions that a filter lets through, in groups; each group the newest first. */
export function grouped(state, { statuses, words, by }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  for (const { view } of state.sessions.values()) {
    if (statuses.size > 0 && !statuses.has(view.status)) continue;
    if (wanted.length > 0 && !matches(view, wanted)) continue;
    const key = by === 'status' ? view.status : by === 'folder' ? text(view.cwd) : '';
    const group = groups.get(key);
    if (group) group.push(view); else groups.set(key, [view]);
  }
  const newestFirst = (one, other) => compare(other.id, one.id);
  const list = [...groups].map(([key, views]) => ({ key, views: views.sort(newestFirst) }));
  if (by === 'status') {
    return list.sort((one, other) => STATUSES.indexOf(one.key) - STATUSES.indexOf(other.key));
  }
  return list.sort((one, other) => newestFirst(one.views[0], other.views[0]));
}

function matches(view, wanted) {
  const own = [view.title ?? '', view.command.map(text).join(' '), text(view.cwd), view.id,
    view.agent?.kind ?? '', view.agent?.prompt ?? ''].join('\n').toLowerCase();
  return wanted.every((word) => own.includes(word));
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}
