// What agents ask, and the decision. All of it is shown, with whatever cannot be seen by its number, and
// an answer is for exactly that: the digest goes along.

import { open } from './dialogs.js';
import { h, replace, setHidden, setText } from './dom.js';
import { oneLine, segments } from './escape.js';
import { openApprovals, pendingOf } from './select.js';
import { nameOf, person, text, timeText, word } from './words.js';

/** Returns a text as elements that hide nothing. */
export function evident(source) {
  return segments(source).map(({ kind, text: piece }) => {
    if (kind === 'plain') return document.createTextNode(piece);
    if (kind === 'break') return [h('span', { class: 'point line-end', title: 'the end of a line' }, '⏎'), '\n'];
    if (kind === 'code') return h('span', { class: 'point' }, piece);
    const points = [...piece].map((letter) => `U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`);
    return h('span', { class: 'other', title: `not ASCII: ${points.slice(0, 20).join(' ')}` }, piece);
  });
}

/** What a request asks, in full. */
export function requestElement({ request, view }) {
  const asked = request.command ?? request.summary;
  const bytes = new TextEncoder().encode(asked).length;
  return h('div', { class: 'request' },
    h('dl', { class: 'facts' },
      fact('Tool', evident(request.tool)),
      fact('Session', oneLine(nameOf(view))),
      fact('Folder', oneLine(text(view.cwd))),
      request.paths.length > 0 && fact('Files', request.paths.map((path) => h('div', {}, evident(path)))),
    ),
    h('h3', {}, request.command ? 'Command' : 'What it wants to do'),
    h('pre', { class: 'asked', tabindex: '0', 'aria-label': 'All that is asked' }, evident(asked)),
    request.command && request.summary && request.summary !== request.command
      && h('p', { class: 'summary' }, evident(request.summary)),
    h('p', { class: 'fine' }, `${[...asked].length} characters, ${bytes} bytes`, h('br'),
      'SHA-256 of all that is asked ', h('code', { class: 'digest' }, request.digest)));
}

function fact(name, value) {
  return [h('dt', {}, name), h('dd', {}, value)];
}

/** The list of what is open, above the sessions. */
export class Approvals {
  #element;
  #cards = new Map();
  #onReview;

  constructor(element, onReview) {
    this.#element = element;
    this.#onReview = onReview;
  }

  show(state) {
    const all = openApprovals(state);
    setHidden(this.#element, all.length === 0);
    const keys = new Set(all.map(({ request }) => request.id));
    for (const [key, card] of this.#cards) {
      if (!keys.has(key)) {
        card.remove();
        this.#cards.delete(key);
      }
    }
    all.forEach((item, at) => {
      const { view, request } = item;
      let card = this.#cards.get(request.id);
      if (!card) {
        card = this.#card(item);
        this.#cards.set(request.id, card);
      }
      if (this.#element.children[at] !== card) this.#element.insertBefore(card, this.#element.children[at] ?? null);
      const isSent = pendingOf(state, view.id).some((one) => one.kind === 'answer' && one.request === request.number);
      setText(card.querySelector('.pending'), isSent ? 'answer sent…' : '');
    });
  }

  #card({ view, request }) {
    const { id } = view;
    return h('article', { class: 'card', data: { request: request.id } },
      h('div', { class: 'card-text' },
        h('p', { class: 'card-head' }, h('strong', {}, oneLine(view.agent?.kind ?? 'agent')), ' asks for ',
          h('strong', {}, oneLine(request.tool)), h('span', { class: 'pending' })),
        h('p', { class: 'card-asked' }, evident((request.command ?? request.summary).slice(0, 300))),
        h('a', { class: 'card-name', href: `#/s/${id}` }, oneLine(nameOf(view)))),
      h('button', { type: 'button', onclick: () => this.#onReview(id, request.number) }, 'Review'));
  }
}

/** Opens a request to decide on it. `word` says which button has the focus. */
export function review(store, actions, session, number, wanted = null) {
  const found = () => {
    const view = store.state.sessions.get(session)?.view;
    const request = view?.requests.find((one) => one.number === number);
    return request && { view, request };
  };
  const item = found();
  if (!item) return;
  // What is decided on is what is shown now, even if something else comes under the same number.
  const shown = item.request;
  const state = h('p', { class: 'card-state', role: 'status' });
  const message = h('input', { type: 'text', id: 'denial', maxlength: '2000', autocomplete: 'off' });
  let unsubscribe = () => {};
  const dialog = open(`${item.view.agent?.kind ?? 'The agent'} asks`, (close) => {
    const decide = (isApproved) => {
      actions.answer(session, shown, isApproved, isApproved ? null : message.value.trim());
      close();
    };
    return [
      requestElement(item),
      state,
      h('label', { class: 'field', for: 'denial' }, 'What to tell the agent if you deny it (optional)', message),
      h('footer', { class: 'dialog-end' },
        h('button', { type: 'button', class: 'danger', data: { decision: 'deny' }, onclick: () => decide(false) }, 'Deny'),
        h('button', { type: 'button', class: 'primary', data: { decision: 'approve' }, onclick: () => decide(true) }, 'Approve')),
    ];
  }, { onClose: () => unsubscribe() });
  const show = () => {
    const now = found();
    const isSame = now?.request.state === 'open' && now.request.digest === shown.digest;
    for (const button of dialog.querySelectorAll('[data-decision]')) button.disabled = !isSame;
    setText(state, isSame ? '' : closedText(now));
  };
  unsubscribe = store.subscribe(show);
  show();
  dialog.querySelector(`[data-decision=${wanted === 'approve' ? 'approve' : 'deny'}]`).focus();
}

function closedText(now) {
  if (!now) return 'Its session is gone. Nothing can be answered any more.';
  const { state, by, closed_at: at } = now.request;
  if (state === 'open') return 'Something else is asked now. Close this and look again.';
  const who = by ? ` by ${person(by)}` : '';
  return `It is not open any more: ${word(state)}${who}${at ? ` at ${timeText(at, Date.now())}` : ''}.`;
}

/** Shows the open requests of one session, with their decisions. */
export function showRequests(element, state, view, onReview) {
  const open = view.requests.filter((request) => request.state === 'open');
  const key = open.map((request) => request.id).join();
  if (element.dataset.key !== key) {
    element.dataset.key = key;
    replace(element, open.map((request) => h('article', { class: 'card' },
      h('div', { class: 'card-text' },
        h('p', { class: 'card-head' }, 'It asks for ', h('strong', {}, oneLine(request.tool))),
        h('p', { class: 'card-asked' }, evident((request.command ?? request.summary).slice(0, 600)))),
      h('button', { type: 'button', class: 'primary', onclick: () => onReview(view.id, request.number) }, 'Review'))));
  }
  setHidden(element, open.length === 0);
}
