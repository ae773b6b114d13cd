// What was shown, held against the log.

import assert from 'node:assert/strict';

/** Returns, for each session, how it stood at each of its revisions. */
export function truthOf(events) {
  const sessions = new Map();
  for (const { session, at, to, outcome } of events) {
    const all = sessions.get(session) ?? [];
    all.push({ at: Date.parse(at), status: to, outcome });
    sessions.set(session, all);
  }
  return sessions;
}

/**
 * Holds what was shown against the log: for each place of the page and each session, the statuses are
 * true ones, in their order, none before the log had it, and none after it had been passed over. Returns
 * how many were held.
 */
export function hold(shown, events) {
  const truth = truthOf(events);
  const places = new Map();
  for (const one of shown) {
    const key = `${one.where} ${one.session}`;
    places.set(key, [...(places.get(key) ?? []), one]);
  }
  for (const [key, all] of places) {
    const log = truth.get(all[0].session);
    const told = () => `${key}: shown ${JSON.stringify(all)}, true ${JSON.stringify(log)}`;
    assert.ok(log, `a session was shown that the log does not have: ${told()}`);
    let place = 0;
    for (const { at, text, status, outcome } of all) {
      assert.equal(text, wordsOf(status, outcome, text), told());
      while (place < log.length && !(log[place].status === status && log[place].outcome === outcome)) place += 1;
      assert.ok(place < log.length, `${status} ${outcome} is not true, or comes back: ${told()}`);
      assert.ok(at >= Math.floor(log[place].at), `${status} was shown before the log had it: ${told()}`);
    }
    const isInterrupted = log.at(-1).outcome === 'interrupted';
    assert.ok(!isInterrupted || all.every((one) => one.status !== 'failed'), `shown as failed: ${told()}`);
  }
  return shown.length;
}

/** Returns the words that stand for a status. The code of an exit is not in the log. */
function wordsOf(status, outcome, text) {
  const word = status.replaceAll('_', ' ');
  if (!outcome || outcome === 'succeeded') return word;
  if (outcome === 'exit_code') return /^failed exit( \d+)?$/.test(text) ? text : 'failed exit …';
  return `${word} ${outcome.replaceAll('_', ' ')}`;
}
