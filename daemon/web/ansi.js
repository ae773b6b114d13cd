// The output of a program as lines of coloured pieces. Colours and weights are understood; whatever else
// a terminal would obey (moving, erasing, titles, links, answers) is left out. Source: ECMA-48, xterm's
// control sequences.

/** Characters of one control sequence, at most. What is longer is none, and is left out to its start. */
export const SEQUENCE_CHARS_MAX = 4096;
/** Characters of one line, at most: the rest goes on in the next. */
export const LINE_CHARS_MAX = 16 << 10;

const PLAIN = Object.freeze({
  fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false,
});

/** Takes pieces of an output as they come, and returns lines that are whole, of `{ text, style }`. */
export class AnsiParser {
  #style = PLAIN;
  #pending = '';
  #line = [];
  #chars = 0;
  #isReturned = false;

  /** Returns the lines that `piece` has completed. */
  push(piece) {
    const lines = [];
    const source = this.#pending + piece;
    this.#pending = '';
    let from = 0;
    while (from < source.length) {
      const code = source.charCodeAt(from);
      if (code === 0x1b || code === 0x9b || code === 0x9d || code === 0x90) {
        const next = this.#sequence(source, from);
        if (next === null) {
          this.#pending = source.slice(from);
          break;
        }
        from = next;
      } else if (code === 10) {
        lines.push(this.#ended());
        from += 1;
      } else if (code === 13) {
        this.#isReturned = true;
        from += 1;
      } else {
        let to = from + 1;
        while (to < source.length && !isControl(source.charCodeAt(to))) to += 1;
        this.#text(source.slice(from, to), lines);
        from = to;
      }
    }
    return lines;
  }

  /** Returns the line that is not ended yet. */
  open() {
    return this.#line;
  }

  #ended() {
    const line = this.#line;
    this.#line = [];
    this.#chars = 0;
    this.#isReturned = false;
    return line;
  }

  #text(piece, lines) {
    if (this.#isReturned) {
      // What comes now is written over the line.
      this.#line = [];
      this.#chars = 0;
      this.#isReturned = false;
    }
    let left = shown(piece);
    while (left !== '') {
      const head = left.slice(0, LINE_CHARS_MAX - this.#chars);
      left = left.slice(head.length);
      const last = this.#line.at(-1);
      if (last && last.style === this.#style) last.text += head;
      else this.#line.push({ text: head, style: this.#style });
      this.#chars += head.length;
      if (this.#chars >= LINE_CHARS_MAX) lines.push(this.#ended());
    }
  }

  /** Reads the sequence at `from`. Returns where it ends, or null when the rest of it is to come. */
  #sequence(source, from) {
    const isOne = source.charCodeAt(from) !== 0x1b;
    if (!isOne && from + 1 >= source.length) return null;
    const kind = isOne ? { '\x9b': '[', '\x9d': ']', '\x90': 'P' }[source[from]] : source[from + 1];
    const start = from + (isOne ? 1 : 2);
    if (kind === '[') return this.#csi(source, from, start);
    if (kind === ']' || kind === 'P' || kind === '^' || kind === '_' || kind === 'X') {
      return skipString(source, from, start);
    }
    if (kind === '(' || kind === ')' || kind === '#' || kind === '%') {
      return start < source.length ? start + 1 : null;
    }
    // An escape before a control is no sequence: what follows stands for itself.
    return kind < ' ' ? start - 1 : start;
  }

  #csi(source, from, start) {
    let at = start;
    while (at < source.length && at - from < SEQUENCE_CHARS_MAX) {
      const code = source.charCodeAt(at);
      if (code >= 0x40 && code <= 0x7e) {
        if (source[at] === 'm') this.#style = styled(this.#style, source.slice(start, at));
        return at + 1;
      }
      // Not of a sequence: it is broken off here.
      if (code < 0x20 || code > 0x7e) return at;
      at += 1;
    }
    return at - from >= SEQUENCE_CHARS_MAX ? at : null;
  }
}

function isControl(code) {
  return code === 10 || code === 13 || code === 0x1b || code === 0x9b || code === 0x9d || code === 0x90;
}

function skipString(source, from, start) {
  for (let at = start; at < source.length; at += 1) {
    if (at - from >= SEQUENCE_CHARS_MAX) return start;
    const character = source[at];
    if (character === '\x07' || character === '\x9c') return at + 1;
    if (character === '\n') return at;
    if (character === '\x1b') {
      if (at + 1 >= source.length) return null;
      return source[at + 1] === '\\' ? at + 2 : at;
    }
  }
  return source.length - from >= SEQUENCE_CHARS_MAX ? start : null;
}

// Bidi and zero-width characters are shown as what they are; other controls as their picture.
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

function shown(piece) {
  return piece.replace(HIDDEN, (character) => {
    const code = character.charCodeAt(0);
    if (code === 8 || code === 7) return '';
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : '\ufffd';
  });
}

/** Returns a style after the parameters of an SGR sequence. */
export function styled(style, parameters) {
  // A private sequence, which only looks like one.
  if (/[^0-9;:]/.test(parameters)) return style;
  const numbers = parameters.split(/[;:]/).map((part) => (part === '' ? 0 : Number(part)));
  let next = { ...style };
  for (let at = 0; at < numbers.length; at += 1) {
    const number = numbers[at];
    if (number === 0) next = { ...PLAIN };
    else if (number === 1) next.bold = true;
    else if (number === 2) next.dim = true;
    else if (number === 3) next.italic = true;
    else if (number === 4) next.underline = true;
    else if (number === 7) next.inverse = true;
    else if (number === 9) next.strike = true;
    else if (number === 22) { next.bold = false; next.dim = false; }
    else if (number === 23) next.italic = false;
    else if (number === 24) next.underline = false;
    else if (number === 27) next.inverse = false;
    else if (number === 29) next.strike = false;
    else if (number >= 30 && number <= 37) next.fg = number - 30;
    else if (number === 39) next.fg = null;
    else if (number >= 40 && number <= 47) next.bg = number - 40;
    else if (number === 49) next.bg = null;
    else if (number >= 90 && number <= 97) next.fg = number - 82;
    else if (number >= 100 && number <= 107) next.bg = number - 92;
    else if (number === 38 || number === 48) {
      const [colour, used] = extended(numbers, at + 1);
      if (colour !== undefined) next[number === 38 ? 'fg' : 'bg'] = colour;
      at += used;
    }
  }
  return Object.freeze(next);
}

/** Reads a colour of the large table or of three parts: a number up to 255, or `[red, green, blue]`. */
function extended(numbers, at) {
  if (numbers[at] === 5) {
    const index = numbers[at + 1];
    return [index >= 0 && index <= 255 ? (index < 16 ? index : cube(index)) : undefined, 2];
  }
  if (numbers[at] === 2) {
    const parts = numbers.slice(at + 1, at + 4);
    const isColour = parts.length === 3 && parts.every((part) => part >= 0 && part <= 255);
    return [isColour ? parts : undefined, 4];
  }
  return [undefined, 0];
}

function cube(index) {
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return [grey, grey, grey];
  }
  const level = (step) => (step === 0 ? 0 : 55 + step * 40);
  const place = index - 16;
  return [level(Math.floor(place / 36)), level(Math.floor(place / 6) % 6), level(place % 6)];
}
