// Server-sent events out of pieces of text. Source: the HTML standard, section 9.2.6.

/** Characters of one event, at most: more is another server, or a broken one. */
export const EVENT_CHARS_MAX = 16 << 20;

/** Takes pieces of a stream as they come, and returns the events that are whole. */
export class SseParser {
  #rest = '';
  #isFirst = true;
  #id = '';
  #event = '';
  #data = [];
  #size = 0;

  push(piece) {
    const events = [];
    let textLeft = this.#rest + piece;
    if (this.#isFirst && textLeft.length > 0) {
      this.#isFirst = false;
      if (textLeft.startsWith('\uFEFF')) textLeft = textLeft.slice(1);
    }
    let from = 0;
    for (;;) {
      const end = lineEnd(textLeft, from);
      if (!end) break;
      this.#line(textLeft.slice(from, end.at), events);
      from = end.next;
    }
    this.#rest = textLeft.slice(from);
    if (this.#rest.length + this.#size > EVENT_CHARS_MAX) throw new Error('an event is too long');
    return events;
  }

  #line(line, events) {
    if (line === '') {
      this.#dispatch(events);
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    if (name === 'data') {
      this.#data.push(value);
      this.#size += value.length;
      if (this.#size > EVENT_CHARS_MAX) throw new Error('an event is too long');
    } else if (name === 'event') {
      this.#event = value;
    } else if (name === 'id' && !value.includes('\0')) {
      this.#id = value;
    }
  }

  #dispatch(events) {
    if (this.#data.length > 0) {
      const data = this.#data.join('\n');
      events.push({ id: this.#id, event: this.#event || 'message', data });
    }
    this.#data = [];
    this.#event = '';
    this.#size = 0;
  }
}

/** Finds the end of the line at `from`. A CR at the very end may be half of a CRLF. */
function lineEnd(textLeft, from) {
  for (let at = from; at < textLeft.length; at += 1) {
    const code = textLeft.charCodeAt(at);
    if (code === 10) return { at, next: at + 1 };
    if (code === 13) {
      if (at + 1 === textLeft.length) return null;
      return { at, next: textLeft.charCodeAt(at + 1) === 10 ? at + 2 : at + 1 };
    }
  }
  return null;
}

/** Takes pieces of a stream as they come, and returns the lines that are whole. */
export class LineParser {
  #rest = '';

  push(piece) {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop();
    if (this.#rest.length > EVENT_CHARS_MAX) throw new Error('a line is too long');
    return lines.filter((line) => line !== '');
  }
}
