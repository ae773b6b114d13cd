// A daemon's log as a value: sessions that live and end as the status machine lets them, what a snapshot
// at any place tells, and what a stream from any place tells.

const EDGES = {
  queued: ['queued', 'starting', 'completed'],
  starting: ['running', 'completing', 'failed'],
  running: ['running', 'waiting_input', 'completing', 'completed', 'failed', 'lost'],
  waiting_input: ['waiting_input', 'running', 'completing', 'failed'],
  completing: ['completing', 'completed', 'failed', 'lost'],
};

export function random(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

export function viewOf(id, status, revision, more = {}) {
  return {
    id, parent: null, title: null, command: ['true'], cwd: '/work', input: 'none', agent: null, requests: [],
    bypass_until: null, status, outcome: null, intent: null, exit: null, report: null,
    evidence: { notes: [] }, revision, created_at: '2026-01-01T00:00:00Z', started_at: null, ended_at: null,
    supervision: null, exit_code: null, ...more,
  };
}

export class Log {
  events = [];
  /** For each place, the sessions as they are then. */
  at = [new Map()];

  get seq() {
    return this.events.length;
  }

  change(id, to, more = {}) {
    const sessions = new Map(this.at.at(-1));
    const known = sessions.get(id);
    const revision = (known?.revision ?? 0) + 1;
    const view = viewOf(id, to, revision, { ...(known ? { requests: known.requests } : {}), ...more });
    const from = known?.status ?? null;
    const type = from === to ? 'session_changed' : 'status_changed';
    const event = { seq: this.seq + 1, session: id, revision, type, from, to, outcome: view.outcome, cause: 'x', by: 'daemon', at: '2026-01-01T00:00:00Z' };
    sessions.set(id, view);
    this.events.push(event);
    this.at.push(sessions);
    return event;
  }

  remove(id) {
    const sessions = new Map(this.at.at(-1));
    const known = sessions.get(id);
    sessions.delete(id);
    this.events.push({ seq: this.seq + 1, session: id, revision: known.revision, type: 'session_removed', from: known.status, to: null, outcome: null });
    this.at.push(sessions);
  }

  /** What a client is told at place `seq`, with at most `limit` sessions that have ended. */
  snapshot(seq, limit = 10_000) {
    const all = [...this.at[seq].values()].sort((one, other) => (one.id < other.id ? 1 : -1));
    const counts = {};
    for (const { status } of all) counts[status] = (counts[status] ?? 0) + 1;
    let ended = 0;
    const sessions = all.filter((view) => !['completed', 'failed', 'lost'].includes(view.status) || (ended += 1) <= limit);
    return { seq, sessions, counts, next: sessions.length < all.length ? sessions.at(-1).id : null };
  }

  /** An event as it is sent when the log stands at `now`: with the session as it is then, or without. */
  sent(seq, now, isBare = false) {
    const event = this.events[seq - 1];
    return { ...event, session_view: isBare ? null : this.at[now].get(event.session) ?? null };
  }

  /** Lets something happen that may happen. */
  step(below) {
    const sessions = [...this.at.at(-1).values()];
    const some = sessions[below(sessions.length + 2)];
    if (!some) return this.change(`s${String(this.seq).padStart(6, '0')}`, below(8) === 0 ? 'queued' : 'starting');
    const next = EDGES[some.status];
    if (!next) return below(4) === 0 ? this.remove(some.id) : undefined;
    const to = next[below(next.length)];
    const outcome = to === 'completed' ? ['succeeded', 'interrupted'][below(2)] : to === 'failed' ? 'exit_code' : to === 'lost' ? 'reboot' : null;
    return this.change(some.id, to, { outcome });
  }
}
