// Dialogs: one at a time, with the browser's own care for focus and the escape key.

import { h } from './dom.js';

/** Opens a dialog. `fill(close)` returns what is in it. Returns the element. */
export function open(title, fill, { kind = '', onClose = () => {} } = {}) {
  const back = document.activeElement;
  const dialog = h('dialog', { class: `dialog ${kind}`.trim(), 'aria-labelledby': 'dialog-title' });
  const close = () => dialog.close();
  dialog.append(
    h('header', { class: 'dialog-head' },
      h('h2', { id: 'dialog-title' }, title),
      h('button', { type: 'button', class: 'quiet icon', 'aria-label': 'Close', onclick: close }, '✕')),
    ...[fill(close)].flat(),
  );
  dialog.addEventListener('close', () => {
    dialog.remove();
    onClose();
    if (back?.isConnected) back.focus();
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function isOpen() {
  return document.querySelector('dialog[open]') !== null;
}

/** Asks before something that cannot be undone. */
export function confirm(title, text, word, action) {
  const dialog = open(title, (close) => [
    h('p', {}, text),
    h('footer', { class: 'dialog-end' },
      h('button', { type: 'button', onclick: close }, 'Cancel'),
      h('button', {
        type: 'button', class: 'danger', data: { confirm: true },
        onclick: () => {
          close();
          action();
        },
      }, word)),
  ], { kind: 'small' });
  dialog.querySelector('[data-confirm]').focus();
}

const KEYS = [
  ['j / k', 'next and previous session'], ['Enter', 'open it'], ['/', 'search'], ['n', 'new session'],
  ['i', 'interrupt'], ['K', 'kill, after a question'], ['c', 'continue an agent, or send it a message'],
  ['a / d', 'look at what is asked, to approve or deny'], ['1 2 3', 'parts of a session'],
  ['Esc', 'close, or back to the list'], ['?', 'this'],
];

export function help() {
  open('Keys', () => h('dl', { class: 'keys' }, KEYS.map(([key, what]) => [
    h('dt', {}, key.split(' ').map((part) => (part === '/' && key !== '/' ? ' or ' : h('kbd', {}, part)))),
    h('dd', {}, what),
  ])), { kind: 'small' });
}
