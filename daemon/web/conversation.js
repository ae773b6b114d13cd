// What an agent and its user said, with the calls of tools folded. All of it is text.

import { get, pathOf } from './api.js';
import { h, replace, setHidden, setText } from './dom.js';
import { manyLines, oneLine } from './escape.js';
import { LineParser } from './sse.js';
import { Tail } from './tail.js';
import { bytesText, timeText, usageText } from './words.js';

/** Pieces of a conversation that are read at a time. */
const PAGE_ITEMS = 200;
/** Characters of a text that are shown before somebody asks for the rest. */
const TEXT_CHARS = 6_000;
/** Of the first line of a folded call. */
const HINT_CHARS = 160;

export class Conversation {
  element = h('div', { class: 'conversation', role: 'log', 'aria-label': 'Conversation' });
  #earlier = h('button', { type: 'button', class: 'quiet', onclick: () => this.#readEarlier() }, 'Earlier messages');
  #items = h('div', { class: 'items' });
  #trouble = h('p', { class: 'trouble', hidden: true });
  #session;
  #onGrown;
  #calls = new Map();
  #first = null;
  #next = 0;
  #tail = null;
  #isStopped = false;

  constructor(session, onGrown) {
    this.#session = session;
    this.#onGrown = onGrown;
    this.element.append(h('p', { class: 'more' }, this.#earlier), this.#items, this.#trouble);
    setHidden(this.#earlier.parentElement, true);
    this.#begin();
  }

  stop() {
    this.#isStopped = true;
    this.#tail?.stop();
  }

  async #begin() {
    try {
      const page = await get(`${pathOf(this.#session, 'messages')}?last=${PAGE_ITEMS}`);
      if (this.#isStopped) return;
      this.#add(page.items, null);
      this.#next = page.items.at(-1)?.seq ?? 0;
    } catch (problem) {
      this.#say(problem);
    }
    if (!this.#isStopped) this.#follow();
  }

  #follow() {
    let decoder;
    let lines;
    this.#tail = new Tail({
      path: () => `${pathOf(this.#session, 'messages')}?follow=true&after=${this.#next}`,
      onAnswer: () => {
        decoder = new TextDecoder();
        lines = new LineParser();
      },
      onPiece: (bytes) => {
        const items = lines.push(decoder.decode(bytes, { stream: true })).map((line) => JSON.parse(line));
        const news = items.filter((item) => item.seq > this.#next);
        if (news.length === 0) return;
        this.#next = news.at(-1).seq;
        this.#add(news, null);
      },
      onTrouble: (problem) => this.#say(problem),
    });
  }

  async #readEarlier() {
    const after = Math.max(0, this.#first - 1 - PAGE_ITEMS);
    const limit = this.#first - 1 - after;
    if (limit <= 0) return;
    this.#earlier.disabled = true;
    try {
      const page = await get(`${pathOf(this.#session, 'messages')}?after=${after}&limit=${limit}`);
      if (!this.#isStopped) this.#add(page.items.filter((item) => item.seq < this.#first), this.#items.firstChild);
    } catch (problem) {
      this.#say(problem);
    } finally {
      this.#earlier.disabled = false;
    }
  }

  #say(problem) {
    setHidden(this.#trouble, !problem);
    setText(this.#trouble, problem ? `The conversation cannot be read: ${problem.message}` : '');
  }

  /** Adds pieces before an element, or at the end. */
  #add(items, before) {
    for (const item of items) {
      this.#first = Math.min(this.#first ?? item.seq, item.seq);
      const call = item.kind === 'tool_result' && this.#calls.get(item.call);
      if (call) addResult(call, item);
      else this.#items.insertBefore(this.#element(item), before);
    }
    setHidden(this.#earlier.parentElement, (this.#first ?? 1) <= 1);
    this.#onGrown();
  }

  #element(item) {
    const within = item.within ? ' within' : '';
    switch (item.kind) {
      case 'text': return h('article', { class: `message ${item.role}${within}` },
        h('p', { class: 'who' }, WHO[item.role] ?? item.role, item.within ? ' (sub-agent)' : '',
          h('time', {}, item.at ? timeText(item.at, Date.now()) : '')),
        textElement(item));
      case 'thinking': return h('details', { class: `fold thinking${within}` },
        h('summary', {}, 'Thinking ', h('span', { class: 'hint' }, hint(item.text))), textElement(item));
      case 'tool_call': {
        const element = h('details', { class: `fold call${within}` },
          h('summary', {}, h('span', { class: 'tool' }, oneLine(item.tool ?? 'tool')), ' ',
            h('span', { class: 'hint' }, hint(callHint(item.text))), h('span', { class: 'result-state' }, '')),
          h('pre', {}, manyLines(pretty(item.text))), cutNote(item));
        if (item.call) this.#calls.set(item.call, element);
        return element;
      }
      case 'tool_result': return h('details', { class: `fold result${within}` },
        h('summary', {}, item.is_error ? 'Error of a tool ' : 'Result ', h('span', { class: 'hint' }, hint(item.text))),
        textElement(item));
      case 'turn_end': return h('p', { class: `turn-end${item.is_error ? ' is-error' : ''}` },
        [item.is_error ? 'turn ended with an error' : 'turn ended', usageText(item.usage, item.usage?.cost_usd)]
          .filter(Boolean).join(' · '), item.is_error && item.text ? h('span', {}, ` ${manyLines(item.text)}`) : '');
      default: return h('p', { class: 'notice-line' }, manyLines(item.text));
    }
  }
}

const WHO = { user: 'You', assistant: 'Agent', tool: 'Tool', system: 'System' };

function addResult(call, item) {
  setText(call.querySelector('.result-state'), item.is_error ? ' error' : '');
  call.classList.toggle('is-error', item.is_error);
  call.append(h('p', { class: 'result-head' }, item.is_error ? 'Error' : 'Result'), textElement(item));
}

/** Shows a text: code apart from words, and what is very long folded. */
function textElement(item) {
  const text = manyLines(item.text);
  const body = h('div', { class: 'text' });
  const isWords = item.kind === 'text' && item.role !== 'tool';
  const put = (shown) => replace(body, isWords ? blocks(shown) : [h('pre', {}, shown)]);
  if (text.length <= TEXT_CHARS) {
    put(text);
  } else {
    put(`${text.slice(0, TEXT_CHARS)}…`);
    const all = h('button', { type: 'button', class: 'quiet', onclick: () => put(text) }, `Show all ${bytesText(text.length)}`);
    body.append(all);
  }
  const note = cutNote(item);
  if (note) body.append(note);
  return body;
}

function cutNote(item) {
  return item.is_cut && h('p', { class: 'fine' }, 'This was cut. The raw output has all of it.');
}

/** Splits a text at its fences into words and code. */
function blocks(text) {
  const all = [];
  let code = null;
  let lines = [];
  const end = () => {
    const own = lines.join('\n');
    if (code !== null) all.push(h('pre', { class: 'code' }, own));
    else if (own.trim()) all.push(h('p', { class: 'words' }, own.replace(/^\n+|\n+$/g, '')));
    lines = [];
  };
  for (const line of text.split('\n')) {
    const fence = /^\s*(```+|~~~+)/.exec(line);
    if (fence && (code === null || line.trim() === code)) {
      end();
      code = code === null ? fence[1] : null;
    } else {
      lines.push(line);
    }
  }
  end();
  return all;
}

function hint(text) {
  const line = oneLine(text.split('\n').find((one) => one.trim()) ?? '');
  return line.length > HINT_CHARS ? `${line.slice(0, HINT_CHARS)}…` : line;
}

/** Returns what a call is about: its command, its file, or else its input. */
function callHint(text) {
  const input = parsed(text);
  if (!input) return text;
  const told = input.command ?? input.file_path ?? input.path ?? input.pattern ?? input.url ?? input.description;
  return typeof told === 'string' ? told : text;
}

function pretty(text) {
  const input = parsed(text);
  return input ? JSON.stringify(input, null, 2) : text;
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
