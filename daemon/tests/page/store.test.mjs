// The store of the page, alone: the races of delivery and display that made other pages show what was not
// so (F01 to F08), and any order, repetition and loss of what can be told.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { openApprovals } from '../../web/select.js';
import { DELTAS_MAX, REMOVED_MAX, initial, isTerminal, reduce } from '../../web/store.js';
import { Log, random, viewOf } from './log.mjs';

const fold = (state, ...actions) => actions.reduce(reduce, state);
const status = (state, id) => state.sessions.get(id)?.view.status;
const take = (state, snapshot) => ({ type: 'snapshot', epoch: state.epoch, snapshot });
const events = (...all) => ({ type: 'events', events: all });

/** A log in which `s` runs, and what a page knows of it. */
function running() {
  const log = new Log();
  log.change('s', 'starting');
  log.change('s', 'running');
  const state = initial();
  return { log, state: fold(state, take(state, log.snapshot(2))) };
}

const RACES = [
  ['F01 the last event does not reach a slow page: it comes when the page resumes', () => {
    const { log, state } = running();
    log.change('s', 'completing');
    for (let count = 0; count < 100; count += 1) log.change('s', 'completing');
    log.change('s', 'completed', { outcome: 'interrupted' });
    const cut = fold(state, events(log.sent(3, 3)), { type: 'connection', phase: 'down', at: 5 });
    assert.equal(status(cut, 's'), 'completing');
    assert.equal(cut.connection.phase, 'down');
    const rest = log.events.slice(cut.cursor).map(({ seq }) => log.sent(seq, log.seq));
    assert.equal(status(fold(cut, events(...rest)), 's'), 'completed');
  }],
  ['F01 what was told is gone from the log: a reset asks for all anew', () => {
    const { log, state } = running();
    log.change('s', 'completed', { outcome: 'succeeded' });
    log.change('other', 'starting');
    const told = fold(state, events({ type: 'reset', seq: 3, reason: 'events_removed' }));
    assert.ok(told.needsSnapshot);
    const whole = fold(told, take(told, log.snapshot(4)));
    assert.equal(status(whole, 's'), 'completed');
    assert.equal(status(whole, 'other'), 'starting');
    assert.ok(!whole.needsSnapshot);
  }],
  ['F02 nothing falls between the snapshot and the stream', () => {
    const { log, state } = running();
    log.change('s', 'completed', { outcome: 'succeeded' });
    assert.equal(state.cursor, 2, 'the stream goes on from the place of the snapshot');
    assert.equal(status(fold(state, events(log.sent(3, 3))), 's'), 'completed');
  }],
  ['F02 a snapshot of before is older than what was told', () => {
    const { log, state } = running();
    log.change('s', 'completed', { outcome: 'succeeded' });
    const told = fold(state, events(log.sent(3, 3)));
    const late = fold(told, take(told, log.snapshot(2)));
    assert.equal(status(late, 's'), 'completed');
    assert.equal(late.cursor, 3);
  }],
  ['F03 a request of before a reset is not believed after it', () => {
    const { log, state } = running();
    const asked = state.epoch;
    log.change('s', 'completed', { outcome: 'succeeded' });
    const told = fold(state, events({ type: 'reset', seq: 3, reason: 'events_removed' }));
    const answered = fold(told,
      { type: 'page', epoch: asked, asOf: 2, sessions: log.snapshot(2).sessions, older: null },
      { type: 'snapshot', epoch: asked, snapshot: log.snapshot(2) },
      { type: 'session', epoch: asked, asOf: 2, view: viewOf('s', 'running', 2) });
    assert.ok(answered.needsSnapshot);
    assert.equal(answered.cursor, 3);
  }],
  ['F04 a decision on a request sets no status', () => {
    const { log, state } = running();
    log.change('s', 'waiting_input', { requests: [{ number: 1, state: 'open', opened_at: 'x' }] });
    const asked = fold(state, events(log.sent(3, 3)));
    const answering = fold(asked, { type: 'action_started', key: 'k', kind: 'answer', session: 's', request: 1, at: 1 });
    log.change('s', 'completed', { outcome: 'interrupted', requests: [{ number: 1, state: 'withdrawn' }] });
    const ended = fold(answering, events(log.sent(4, 4)));
    assert.equal(status(ended, 's'), 'completed');
    const answered = fold(ended, { type: 'action_answered', key: 'k', revision: 4 });
    assert.equal(status(answered, 's'), 'completed');
    assert.equal(answered.pending.size, 0);
    assert.deepEqual(openApprovals(answered), []);
  }],
  ['F04 an answer stays pending until the log has it, and the status is the log\'s', () => {
    const { log, state } = running();
    log.change('s', 'waiting_input', { requests: [{ number: 1, state: 'open', opened_at: 'x' }] });
    const taken = fold(state, events(log.sent(3, 3)),
      { type: 'action_started', key: 'k', kind: 'answer', session: 's', request: 1, at: 1 },
      { type: 'action_answered', key: 'k', revision: 4 });
    assert.equal(status(taken, 's'), 'waiting_input');
    assert.equal(taken.pending.size, 1);
    log.change('s', 'running', { requests: [{ number: 1, state: 'approved' }] });
    const told = fold(taken, events(log.sent(4, 4)));
    assert.equal(status(told, 's'), 'running');
    assert.equal(told.pending.size, 0);
  }],
  ['F05 a stop shows no status before the log has one', () => {
    const { log, state } = running();
    const asked = fold(state, { type: 'action_started', key: 'k', kind: 'interrupt', session: 's', at: 1 });
    assert.equal(status(asked, 's'), 'running');
    const taken = fold(asked, { type: 'action_answered', key: 'k', revision: 3 });
    assert.equal(status(taken, 's'), 'running');
    assert.equal(taken.pending.size, 1);
    log.change('s', 'completing');
    const told = fold(taken, events(log.sent(3, 3)));
    assert.equal(status(told, 's'), 'completing');
    assert.equal(told.pending.size, 0);
  }],
  ['F05 a stop that is refused leaves the status alone, and is told', () => {
    const { state } = running();
    const refused = fold(state,
      { type: 'action_started', key: 'k', kind: 'interrupt', session: 's', at: 1 },
      { type: 'action_refused', key: 'k', text: 'It has ended.', at: 2 });
    assert.equal(status(refused, 's'), 'running');
    assert.equal(refused.pending.size, 0);
    assert.equal(refused.notices.at(-1).text, 'It has ended.');
  }],
  ['F06 a list that was read before overwrites no newer event', () => {
    const { log, state } = running();
    const { epoch, cursor } = state;
    const read = log.snapshot(2).sessions;
    log.change('s', 'completed', { outcome: 'succeeded' });
    const told = fold(state, events(log.sent(3, 3)));
    const late = fold(told, { type: 'page', epoch, asOf: cursor, sessions: read, older: null });
    assert.equal(status(late, 's'), 'completed');
  }],
  ['F06 a session that was removed stays so when an older list comes', () => {
    const { log, state } = running();
    const read = log.snapshot(2).sessions;
    log.change('s', 'completed', { outcome: 'succeeded' });
    log.remove('s');
    const told = fold(state, events(log.sent(3, 3), log.sent(4, 4)));
    const late = fold(told, { type: 'page', epoch: told.epoch, asOf: 2, sessions: read, older: null },
      { type: 'session', epoch: told.epoch, asOf: 2, view: read[0] });
    assert.equal(status(late, 's'), undefined);
    assert.equal(fold(late, events({ ...log.sent(3, 3), seq: 5 })).sessions.size, 0);
  }],
  ['F07 two pages that were told in another way come to the same', () => {
    const { log, state } = running();
    log.change('s', 'waiting_input');
    log.change('s', 'completed', { outcome: 'interrupted' });
    const one = fold(state, events(log.sent(3, 3)), events(log.sent(4, 4)));
    const other = fold(state, events(log.sent(3, 4), log.sent(4, 4, true)),
      { type: 'session', epoch: 1, asOf: 4, view: log.at[4].get('s') });
    assert.deepEqual(one.sessions.get('s').view, other.sessions.get('s').view);
    assert.deepEqual(one.counts, other.counts);
  }],
  ['F08 every change is told: a queued one, a request, a failure, a removal', () => {
    const log = new Log();
    let state = initial();
    state = fold(state, take(state, log.snapshot(0)));
    const shown = [];
    const next = (...change) => {
      log.change(...change);
      state = fold(state, events(log.sent(log.seq, log.seq)));
      shown.push(status(state, 'q'));
    };
    next('q', 'queued');
    next('q', 'starting');
    next('q', 'running');
    next('q', 'waiting_input', { requests: [{ number: 1, state: 'open', opened_at: 'x' }] });
    assert.equal(openApprovals(state).length, 1);
    next('q', 'failed', { outcome: 'exit_code', requests: [] });
    assert.deepEqual(shown, ['queued', 'starting', 'running', 'waiting_input', 'failed']);
    log.remove('q');
    state = fold(state, events(log.sent(log.seq, log.seq)));
    assert.equal(state.sessions.size, 0);
    assert.deepEqual(Object.values(state.counts).filter((many) => many !== 0), []);
  }],
];

for (const [name, race] of RACES) test(name, race);

test('nothing follows an end, whatever is told', () => {
  const { log, state } = running();
  log.change('s', 'completed', { outcome: 'interrupted' });
  const ended = fold(state, events(log.sent(3, 3)));
  for (const odd of ['running', 'completing', 'failed', 'lost']) {
    const told = fold(ended, events({ ...log.sent(3, 3, true), seq: 4, revision: 4, from: 'completed', to: odd }),
      { type: 'session', epoch: 1, asOf: 9, view: viewOf('s', odd, 9) });
    assert.equal(status(told, 's'), 'completed', odd);
  }
});

test('an event without its session changes the status, and the rest is asked for', () => {
  const { log, state } = running();
  log.change('s', 'failed', { outcome: 'exit_code' });
  const told = fold(state, events(log.sent(3, 3, true)));
  assert.equal(status(told, 's'), 'failed');
  assert.equal(told.sessions.get('s').view.outcome, 'exit_code');
  assert.deepEqual([...told.unread], [['s', 3]]);
  const read = fold(told, { type: 'session', epoch: 1, asOf: 3, view: log.at[3].get('s') });
  assert.equal(read.unread.size, 0);
  assert.ok(!read.sessions.get('s').isPartial);
});

test('an older store that was put back is believed from its beginning', () => {
  const { log, state } = running();
  log.change('s', 'completed', { outcome: 'succeeded' });
  const told = fold(state, events(log.sent(3, 3)));
  const put = fold(told, events({ type: 'reset', seq: 1, reason: 'cursor_ahead' }));
  assert.equal(put.sessions.size, 0, 'nothing is shown that may never have been');
  assert.equal(put.counts, null);
  const whole = fold(put, take(put, log.snapshot(1)));
  assert.equal(status(whole, 's'), 'starting');
});

test('while the connection is down the page knows since when', () => {
  const { state } = running();
  const live = fold(state, { type: 'connection', phase: 'live', at: 10 });
  const down = fold(live, { type: 'connection', phase: 'down', at: 20, why: 'cut' });
  const still = fold(down, { type: 'connection', phase: 'down', at: 30, why: 'cut' });
  assert.deepEqual([down.connection.lastLiveAt, still.connection.lastLiveAt], [20, 20]);
  assert.equal(fold(still, { type: 'connection', phase: 'live', at: 40 }).connection.phase, 'live');
});

test('a deleted session is pending until its removal is told', () => {
  const { log, state } = running();
  log.change('s', 'completed', { outcome: 'succeeded' });
  const asked = fold(state, events(log.sent(3, 3)),
    { type: 'action_started', key: 'k', kind: 'delete', session: 's', at: 1 },
    { type: 'action_answered', key: 'k' });
  assert.equal(asked.pending.size, 1);
  assert.equal(status(asked, 's'), 'completed');
  log.remove('s');
  assert.equal(fold(asked, events(log.sent(4, 4))).pending.size, 0);
});

test('a deleted session is not pending for ever where a snapshot came before its removal', () => {
  const { log, state } = running();
  log.change('s', 'completed', { outcome: 'succeeded' });
  const asked = fold(state, events(log.sent(3, 3)),
    { type: 'action_started', key: 'k', kind: 'delete', session: 's', at: 1 },
    { type: 'action_answered', key: 'k' });
  log.remove('s');
  const anew = fold(asked, events({ type: 'reset', seq: 3, reason: 'events_removed' }));
  const told = fold(anew, take(anew, log.snapshot(4)), events(log.sent(4, 4)));
  assert.equal(told.sessions.has('s'), false);
  assert.equal(told.pending.size, 0);
});

test('a launch is pending until the list has the session', () => {
  const { log, state } = running();
  const asked = fold(state, { type: 'action_started', key: 'k', kind: 'launch', session: null, at: 1 },
    { type: 'action_answered', key: 'k', result: 't', revision: 2 });
  assert.equal(asked.pending.size, 1);
  assert.equal(asked.sessions.has('t'), false);
  log.change('t', 'starting');
  assert.equal(fold(asked, events(log.sent(3, 3))).pending.size, 0);
});

test('the story of a session is in order and each event is in it once', () => {
  const { log, state } = running();
  log.change('s', 'completing');
  log.change('s', 'completed', { outcome: 'interrupted' });
  const open = fold(state, { type: 'story_opened', session: 's' }, events(log.sent(3, 3)), events(log.sent(4, 4)),
    { type: 'story_read', epoch: 1, session: 's', events: log.events.slice(0, 3) });
  assert.deepEqual(open.story.events.map((event) => event.seq), [1, 2, 3, 4]);
  const other = fold(open, { type: 'story_opened', session: 't' });
  assert.deepEqual(fold(other, { type: 'story_read', epoch: 1, session: 's', events: log.events }).story.events, []);
});

test('what is remembered has its limits', () => {
  let state = fold(initial(), take(initial(), new Log().snapshot(0)));
  const removals = [];
  for (let seq = 1; seq <= REMOVED_MAX + 5; seq += 1) {
    removals.push({ seq, session: `s${seq}`, type: 'session_removed', from: 'completed', to: null, revision: 1 });
  }
  state = fold(state, events(...removals));
  assert.equal(state.removed.size, REMOVED_MAX);
  const unsure = fold(initial(), events(...removals.slice(0, DELTAS_MAX + 1)));
  const late = fold(unsure, take(unsure, { seq: 0, sessions: [], counts: {}, next: null }));
  assert.ok(late.needsSnapshot, 'its counts cannot be brought up to date, so another is asked for');
});

test('neither a state nor an action is changed by the fold', () => {
  const { log, state } = running();
  const freeze = (value) => {
    if (value && typeof value === 'object' && !Object.isFrozen(value)) {
      Object.freeze(value);
      Object.values(value).forEach(freeze);
      if (value instanceof Map) {
        value.set = value.delete = () => assert.fail('a map was changed');
        value.forEach(freeze);
      }
    }
    return value;
  };
  const mapped = { ...state };
  for (const name of ['sessions', 'removed', 'pending']) {
    mapped[name] = new Map(state[name]);
  }
  log.change('s', 'completing');
  log.change('s', 'completed', { outcome: 'succeeded' });
  log.remove('s');
  for (const map of [mapped.sessions, mapped.removed, mapped.pending]) {
    Object.defineProperty(map, 'set', { value: () => assert.fail('a map was changed') });
    Object.defineProperty(map, 'delete', { value: () => assert.fail('a map was changed') });
  }
  freeze(mapped.counts);
  freeze(mapped.deltas);
  freeze(mapped.changes);
  const after = fold(mapped, events(log.sent(3, 3), log.sent(4, 4), log.sent(5, 5)));
  assert.equal(after.sessions.size, 0);
});

/**
 * A page that is told a log in some order: a stream that is cut and resumed and repeats itself, events
 * with and without sessions, snapshots and lists that arrive long after they were read, and resets. What
 * is shown after each action is held against the log.
 */
function play(seed) {
  const below = random(seed * 2654435761 + 1);
  const log = new Log();
  let now = 0;
  let state = initial();
  const late = [];
  const shown = new Map();
  const act = (action) => {
    state = reduce(state, action);
    for (const [id, { view }] of state.sessions) {
      const true_ = log.at.findLast((sessions) => sessions.get(id)?.revision === view.revision)?.get(id);
      assert.ok(true_, `seed ${seed}: ${id} at revision ${view.revision} is ahead of the log`);
      assert.equal(view.status, true_.status, `seed ${seed}: ${id}`);
      assert.equal(view.outcome, true_.outcome, `seed ${seed}: ${id}`);
      const before = shown.get(id) ?? 0;
      assert.ok(view.revision >= before, `seed ${seed}: ${id} went back from ${before} to ${view.revision}`);
      shown.set(id, view.revision);
    }
  };
  const steps = 60 + below(120);
  for (let step = 0; step < steps; step += 1) {
    log.step(below);
    now = log.seq;
    const choice = below(12);
    if (choice < 5 && state.cursor !== null) {
      // The stream, from the cursor or, after a cut, from somewhat before it.
      const from = Math.max(0, state.cursor - (below(4) === 0 ? below(6) : 0));
      const many = below(4) === 0 ? below(30) : now - from;
      const told = log.events.slice(from, from + many).map(({ seq }) => log.sent(seq, now, below(5) === 0));
      act(events(...told));
    } else if (choice === 5) {
      late.push({ type: 'snapshot', epoch: state.epoch, snapshot: log.snapshot(now, below(2) ? 3 : 1000) });
    } else if (choice === 6) {
      late.push({ type: 'page', epoch: state.epoch, asOf: state.cursor, sessions: log.snapshot(now).sessions });
    } else if (choice === 7) {
      const views = [...log.at[now].values()];
      if (views.length > 0) late.push({ type: 'session', epoch: state.epoch, asOf: state.cursor, view: views[below(views.length)] });
    } else if (choice === 8 && state.cursor !== null && below(4) === 0) {
      // It falls behind, and what it has missed is gone.
      act(events({ type: 'reset', seq: now, reason: 'events_removed' }));
    } else if (late.length > 0) {
      act(late.splice(below(late.length), 1)[0]);
    }
  }
  for (const action of late) act(action);
  if (state.needsSnapshot) act({ type: 'snapshot', epoch: state.epoch, snapshot: log.snapshot(now) });
  act(events(...log.events.slice(state.cursor).map(({ seq }) => log.sent(seq, now, below(3) === 0))));
  for (const id of [...state.unread.keys()]) {
    const view = log.at[now].get(id);
    act(view ? { type: 'session', epoch: state.epoch, asOf: now, view } : { type: 'gone', epoch: state.epoch, session: id });
  }
  assert.ok(!state.needsSnapshot);
  return { log, state, now };
}

test('any order, repetition and loss of what is told comes to the same end, and shows nothing untrue', () => {
  for (let seed = 1; seed <= 3000; seed += 1) {
    const { log, state, now } = play(seed);
    const truth = log.at[now];
    for (const [id, { view, isPartial }] of state.sessions) {
      assert.deepEqual([id, view], [id, truth.get(id)], `seed ${seed}`);
      assert.ok(!isPartial, `seed ${seed}`);
    }
    // Old ones may not have been read yet; what lives has been told.
    for (const [id, view] of truth) {
      assert.ok(state.sessions.has(id) || isTerminal(view.status), `seed ${seed}: ${id} is missing`);
    }
    const { counts } = log.snapshot(now);
    const known = Object.fromEntries(Object.entries(state.counts).filter(([, many]) => many !== 0));
    assert.deepEqual(known, counts, `seed ${seed}`);
  }
});
