// How a status looks: the same word as in the log, with its outcome, a sign and a colour. The colour is
// never alone.

import { h, setAttribute, setText } from './dom.js';
import { word } from './words.js';

const SIGNS = {
  queued: '⋯', starting: '○', running: '●', waiting_input: '!', completing: '◌', completed: '✓', failed: '✕',
  lost: '?',
};

const PENDING = {
  interrupt: 'interrupt asked for…', kill: 'kill asked for…', finish: 'finish asked for…',
  delete: 'removal asked for…', answer: 'answer sent…', continue: 'to be continued…', message: 'message sent…',
};

/** Makes the sign and words of a status, which `showStatus` fills. */
export function statusElement() {
  return h('span', { class: 'status' },
    h('span', { class: 'sign', 'aria-hidden': 'true' }),
    h('span', { class: 'status-word' }), h('span', { class: 'outcome' }));
}

/** Shows how a session stands. */
export function showStatus(element, view) {
  const { status, outcome } = view;
  const [sign, name, more] = element.children;
  const isInterrupted = outcome === 'interrupted';
  setAttribute(element, 'data-status', status);
  setAttribute(element, 'data-outcome', outcome ?? null);
  setText(sign, isInterrupted ? '■' : SIGNS[status] ?? '');
  setText(name, word(status));
  const told = outcome && outcome !== 'succeeded' ? outcome : '';
  setText(more, told === 'exit_code' ? ` exit ${view.exit?.code ?? ''}`.trimEnd() : told ? ` ${word(told)}` : '');
}

/** Returns what is pending of a session as a few words. */
export function pendingText(actions) {
  const last = actions.at(-1);
  return last ? PENDING[last.kind] ?? '' : '';
}
