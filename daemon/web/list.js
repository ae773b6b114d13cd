// The list of sessions. Only what can be seen is in the document, so that thousands cost no more than few.

import { h, setAttribute, setHidden, setText } from './dom.js';
import { oneLine } from './escape.js';
import { grouped, knownAt, pendingOf } from './select.js';
import { pendingText, showStatus, statusElement } from './status.js';
import { STATUSES } from './store.js';
import { durationText, nameOf, shortId, spanText, text, word } from './words.js';

const ROW_HEIGHT = 56;
const GROUP_HEIGHT = 32;
/** Rows beyond what can be seen, on each side. */
const BEYOND = 6;

export class List {
  filter = { statuses: new Set(), words: '', by: '' };
  /** The row that keys move, by its session. */
  selected = null;
  #parts;
  #items = [];
  #rows = new Map();
  #state = null;
  #chips = new Map();
  #open = null;

  constructor(parts, onFilter) {
    this.#parts = parts;
    parts.list.addEventListener('scroll', () => this.#paint(), { passive: true });
    new ResizeObserver(() => this.#paint()).observe(parts.list);
    for (const status of STATUSES) {
      const count = h('span', { class: 'count' });
      const chip = h('button', {
        type: 'button', class: 'chip', 'aria-pressed': 'false', data: { status },
        onclick: () => {
          const { statuses } = this.filter;
          if (!statuses.delete(status)) statuses.add(status);
          onFilter();
        },
      }, word(status), count);
      this.#chips.set(status, { chip, count });
      parts.chips.append(chip);
    }
  }

  /** Shows what the store says. */
  show(state, open) {
    this.#state = state;
    this.#open = open;
    this.#showChips(state);
    this.#items = [];
    let top = 0;
    let number = 0;
    const groups = grouped(state, this.filter);
    for (const { key, views } of groups) {
      if (this.filter.by) {
        this.#items.push({ kind: 'group', key: `group:${key}`, name: key, count: views.length, top });
        top += GROUP_HEIGHT;
      }
      for (const view of views) {
        number += 1;
        this.#items.push({ kind: 'row', key: view.id, view, top, number });
        top += ROW_HEIGHT;
      }
    }
    this.count = number;
    this.#parts.rows.style.height = `${top}px`;
    setHidden(this.#parts.empty, number > 0);
    if (number === 0) setText(this.#parts.empty, this.#emptyText(state));
    this.#paint();
  }

  #emptyText(state) {
    if (state.needsSnapshot) return 'Waiting for the daemon to tell what there is.';
    if (state.sessions.size > 0) return 'No session that is loaded fits. Clear the search, or load older ones.';
    return 'No sessions yet. Start one with “New session”, or with candor run in a terminal.';
  }

  #showChips(state) {
    for (const [status, { chip, count }] of this.#chips) {
      const many = state.counts?.[status] ?? 0;
      setText(count, state.counts ? String(many) : '');
      setAttribute(chip, 'aria-pressed', this.filter.statuses.has(status) ? 'true' : 'false');
      setAttribute(chip, 'data-none', many === 0 && !this.filter.statuses.has(status));
    }
  }

  #paint() {
    if (!this.#state) return;
    const { list, rows } = this.#parts;
    const from = list.scrollTop - BEYOND * ROW_HEIGHT;
    const to = list.scrollTop + list.clientHeight + BEYOND * ROW_HEIGHT;
    const wanted = new Set();
    const focused = document.activeElement?.closest?.('.row')?.dataset.session;
    for (let at = this.#firstFrom(from); at < this.#items.length && this.#items[at].top <= to; at += 1) {
      this.#put(this.#items[at], wanted);
    }
    // Whoever has the focus keeps it, wherever it is scrolled to.
    const kept = focused && !wanted.has(focused) && this.#items.find((item) => item.key === focused);
    if (kept) this.#put(kept, wanted);
    for (const [key, element] of this.#rows) {
      if (!wanted.has(key)) {
        element.remove();
        this.#rows.delete(key);
      }
    }
    setAttribute(rows, 'data-count', this.#items.length);
  }

  #firstFrom(top) {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#items[middle].top + ROW_HEIGHT < top) low = middle + 1; else high = middle;
    }
    return low;
  }

  #put(item, wanted) {
    wanted.add(item.key);
    let element = this.#rows.get(item.key);
    if (!element) {
      element = item.kind === 'group' ? groupElement() : rowElement(item.view);
      this.#rows.set(item.key, element);
      this.#parts.rows.append(element);
    }
    const place = `translateY(${item.top}px)`;
    if (element.style.transform !== place) element.style.transform = place;
    if (item.kind === 'group') {
      setText(element.firstChild, this.filter.by === 'status' ? word(item.name) : oneLine(item.name));
      setText(element.lastChild, String(item.count));
    } else {
      this.#showRow(element, item);
    }
  }

  #showRow(element, { view, number }) {
    const { link, name, status, meta, time, pending } = element.parts;
    const now = knownAt(this.#state, Date.now());
    showStatus(status, view);
    setText(name, oneLine(nameOf(view)));
    setText(meta, metaText(view));
    setText(time, view.ended_at ? `${spanText(now - Date.parse(view.ended_at))} ago` : durationText(view, now));
    setText(pending, pendingText(pendingOf(this.#state, view.id)));
    setAttribute(element, 'aria-posinset', number);
    setAttribute(element, 'aria-setsize', this.#state.older ? -1 : this.count);
    setAttribute(link, 'aria-current', this.#open === view.id ? 'true' : null);
    setAttribute(link, 'tabindex', this.#isSelected(view.id, number) ? '0' : '-1');
    setAttribute(element, 'data-selected', this.selected === view.id);
  }

  #isSelected(id, number) {
    return this.selected ? this.selected === id : number === 1;
  }

  /** Moves the selection by so many rows, and the focus with it. */
  move(by) {
    const rows = this.#items.filter((item) => item.kind === 'row');
    if (rows.length === 0) return;
    const at = rows.findIndex((item) => item.key === this.selected);
    const next = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by));
    this.select(rows[next].key);
  }

  /** Selects a session, and shows its row. */
  select(id, hasFocus = true) {
    const item = this.#items.find((one) => one.key === id);
    this.selected = id;
    if (!item) return;
    const { list } = this.#parts;
    const space = this.filter.by ? GROUP_HEIGHT : 0;
    if (item.top - space < list.scrollTop) list.scrollTop = item.top - space;
    else if (item.top + ROW_HEIGHT > list.scrollTop + list.clientHeight) {
      list.scrollTop = item.top + ROW_HEIGHT - list.clientHeight;
    }
    this.#paint();
    if (hasFocus) this.#rows.get(id)?.parts.link.focus({ preventScroll: true });
  }

  /** Brings the times up to date. */
  tick() {
    this.#paint();
  }
}

function groupElement() {
  return h('li', { class: 'group' }, h('span', { class: 'group-name' }), h('span', { class: 'count' }));
}

function rowElement(view) {
  const parts = {
    name: h('span', { class: 'name' }), status: statusElement(), meta: h('span', { class: 'meta' }),
    time: h('span', { class: 'time' }), pending: h('span', { class: 'pending' }),
  };
  parts.link = h('a', { class: 'row-link', href: `#/s/${view.id}` },
    h('span', { class: 'row-top' }, parts.name, parts.time),
    h('span', { class: 'row-end' }, parts.status, parts.pending, parts.meta));
  const element = h('li', { class: 'row', data: { session: view.id } }, parts.link);
  element.parts = parts;
  return element;
}

function metaText(view) {
  const folder = text(view.cwd).split('/').filter(Boolean).at(-1) ?? '/';
  const who = view.agent ? view.agent.kind : oneLine(text(view.command[0] ?? '')).split('/').at(-1);
  return [who, oneLine(folder), shortId(view.id)].join(' · ');
}
