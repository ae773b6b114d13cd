// The bytes of an output, as lines with colours. The end comes first; what is before it is read when
// somebody asks, so that the size does not matter.

import { AnsiParser } from './ansi.js';
import { pathOf, send } from './api.js';
import { h, setHidden, setText } from './dom.js';
import { Tail } from './tail.js';
import { bytesText } from './words.js';

/** Bytes that are read at a time, from the end and further back. */
const PIECE_BYTES = 64 << 10;
const LINES_PER_BLOCK = 200;
/** Blocks in the document, at most; the oldest go when more comes. */
const BLOCKS_MAX = 300;
/** Beyond every file: the daemon answers with where the file ends. */
const BEYOND_ALL = Number.MAX_SAFE_INTEGER;
const NEWLINE = 10;
const OFFSET = 'candor-output-offset';

export class Output {
  element = h('div', { class: 'output' });
  #earlier = h('button', { type: 'button', class: 'quiet', onclick: () => this.#readEarlier() }, '');
  #lines = h('div', { class: 'lines', tabindex: '0', role: 'log' });
  #open = h('div', { class: 'line' });
  #trouble = h('p', { class: 'trouble', hidden: true });
  #empty = h('p', { class: 'empty' }, 'Nothing has been printed yet.');
  #session;
  #stream;
  #onGrown;
  #parser = new AnsiParser();
  #decoder = new TextDecoder();
  #from = 0;
  #next = 0;
  #block = null;
  #tail = null;
  #isStopped = false;
  #isCutIn = false;

  constructor(session, stream, onGrown) {
    this.#session = session;
    this.#stream = stream;
    this.#onGrown = onGrown;
    this.#lines.setAttribute('aria-label', stream);
    this.element.append(h('p', { class: 'more' }, this.#earlier), this.#empty, this.#lines, this.#trouble);
    this.#showEarlier();
    this.#begin();
  }

  stop() {
    this.#isStopped = true;
    this.#tail?.stop();
  }

  #path(offset, isFollowed) {
    return `${pathOf(this.#session, 'output', this.#stream)}?offset=${offset}${isFollowed ? '&follow=true' : ''}`;
  }

  async #begin() {
    try {
      const size = await this.#size();
      if (this.#isStopped) return;
      this.#from = Math.max(0, size - PIECE_BYTES);
      this.#next = this.#from;
      this.#isCutIn = this.#from > 0;
      this.#follow();
    } catch (problem) {
      this.#say(problem);
    }
  }

  async #size() {
    const answer = await send('GET', this.#path(BEYOND_ALL, false));
    await answer.body?.cancel();
    const told = Number(answer.headers.get(OFFSET));
    // There is no file yet.
    return told === BEYOND_ALL || !Number.isFinite(told) ? 0 : told;
  }

  #follow() {
    this.#tail = new Tail({
      path: () => this.#path(this.#next, true),
      onAnswer: (answer) => {
        const begins = Number(answer.headers.get(OFFSET) ?? this.#next);
        if (begins > this.#next) this.#gap(begins - this.#next);
        if (this.#next === this.#from) this.#from = begins;
        this.#next = begins;
      },
      onPiece: (bytes) => {
        this.#next += bytes.length;
        this.#take(bytes);
      },
      onEnd: () => {
        this.#take(new Uint8Array(), true);
        setText(this.#empty, 'It printed nothing here.');
      },
      onTrouble: (problem) => this.#say(problem),
    });
  }

  #take(bytes, isLast = false) {
    let own = bytes;
    if (this.#isCutIn && !isLast) {
      // It begins in the midst of a line: from the next one on it is whole.
      const end = bytes.indexOf(NEWLINE);
      if (end < 0) return;
      own = bytes.subarray(end + 1);
      this.#from = this.#next - own.length;
      this.#isCutIn = false;
    }
    const text = this.#decoder.decode(own, { stream: !isLast });
    for (const line of this.#parser.push(text)) this.#add(line);
    this.#showOpen();
    setHidden(this.#empty, this.#lines.childElementCount > 0);
    this.#showEarlier();
    this.#onGrown();
  }

  #add(line) {
    if (!this.#block || this.#block.childElementCount >= LINES_PER_BLOCK) {
      this.#block = h('div', { class: 'block' });
      this.#lines.insertBefore(this.#block, this.#open.parentElement === this.#lines ? this.#open : null);
      if (this.#lines.childElementCount > BLOCKS_MAX) this.#dropFirst();
    }
    this.#block.append(lineElement(line));
  }

  /** Lets the oldest go. From there on it cannot be read back any more in pieces that fit. */
  #dropFirst() {
    this.#lines.firstElementChild.remove();
    this.#from = null;
  }

  #showOpen() {
    const open = this.#parser.open();
    this.#open.replaceChildren(...lineElement(open).childNodes);
    if (open.length > 0) this.#lines.append(this.#open); else this.#open.remove();
  }

  #gap(bytes) {
    this.#parser = new AnsiParser();
    this.#decoder = new TextDecoder();
    this.#lines.append(h('p', { class: 'gap' }, `${bytesText(bytes)} are not kept any more.`));
    this.#block = null;
  }

  #showEarlier() {
    const left = this.#from ?? 0;
    setHidden(this.#earlier.parentElement, left === 0 && this.#from !== null);
    this.#earlier.disabled = this.#from === null;
    setText(this.#earlier, this.#from === null ? 'Earlier output was let go of here: open this part again to read it'
      : `Earlier output (${bytesText(left)})`);
  }

  async #readEarlier() {
    const to = this.#from;
    const from = Math.max(0, to - PIECE_BYTES);
    this.#earlier.disabled = true;
    try {
      const bytes = await this.#read(from, to);
      if (this.#isStopped || this.#from !== to) return;
      this.#prepend(bytes, from);
    } catch (problem) {
      this.#say(problem);
    } finally {
      this.#showEarlier();
    }
  }

  async #read(from, to) {
    const abort = new AbortController();
    const answer = await send('GET', this.#path(from, false), { signal: abort.signal });
    const begins = Number(answer.headers.get(OFFSET) ?? from);
    const parts = [];
    let left = to - begins;
    const reader = answer.body.getReader();
    while (left > 0) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value.subarray(0, left));
      left -= value.length;
    }
    abort.abort();
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  #prepend(bytes, from) {
    const parser = new AnsiParser();
    // What is left out here of a line that began before comes with the piece before.
    const cut = from > 0 ? bytes.indexOf(NEWLINE) + 1 : 0;
    const lines = parser.push(new TextDecoder().decode(bytes.subarray(cut)));
    const rest = parser.open();
    if (rest.length > 0) lines.push(rest);
    const first = this.#lines.firstChild;
    for (let at = 0; at < lines.length; at += LINES_PER_BLOCK) {
      const block = h('div', { class: 'block' }, lines.slice(at, at + LINES_PER_BLOCK).map(lineElement));
      this.#lines.insertBefore(block, first);
    }
    this.#from = from + cut;
  }

  #say(problem) {
    setHidden(this.#trouble, !problem);
    setText(this.#trouble, problem ? `The output cannot be read: ${problem.message}` : '');
  }
}

function lineElement(pieces) {
  const line = h('div', { class: 'line' });
  for (const { text, style } of pieces) line.append(pieceElement(text, style));
  return line;
}

function pieceElement(text, style) {
  const names = [];
  for (const name of ['bold', 'dim', 'italic', 'underline', 'inverse', 'strike']) {
    if (style[name]) names.push(name);
  }
  if (typeof style.fg === 'number') names.push(`fg${style.fg}`);
  if (typeof style.bg === 'number') names.push(`bg${style.bg}`);
  const isPlain = names.length === 0 && !style.fg && !style.bg;
  if (isPlain) return document.createTextNode(text);
  const piece = h('span', { class: names.join(' ') || null }, text);
  // By the object model: the policy of the page takes no style from markup.
  if (Array.isArray(style.fg)) piece.style.color = `rgb(${style.fg.join(' ')})`;
  if (Array.isArray(style.bg)) piece.style.backgroundColor = `rgb(${style.bg.join(' ')})`;
  return piece;
}
