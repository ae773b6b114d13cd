// Text that somebody else wrote, so that it cannot pretend to be something else. What cannot be seen, or
// changes the direction or the place of what follows, is shown by its number.

/** Blanks in a row that are shown as they are. More of them could push something out of sight. */
export const BLANKS_MAX = 8;

// Controls, formats (bidi, zero width, tags), separators, private use, half pairs; fillers that are
// letters by their class and show nothing; variation selectors and joiners.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
const BLANK = /\p{Zs}/u;

/** Returns the number of a character, such as U+202E. */
export function codePoint(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/**
 * Splits a text into segments `{ text, kind }`: `plain` as it is; `code` what stands for something that
 * cannot be seen; `other` letters beyond ASCII, which may look like others; `break` the end of a line.
 */
export function segments(source) {
  const all = [];
  const add = (kind, piece) => {
    const last = all.at(-1);
    if (last?.kind === kind && kind !== 'break' && kind !== 'code') last.text += piece;
    else all.push({ kind, text: piece });
  };
  let blanks = 0;
  const endBlanks = () => {
    if (blanks > BLANKS_MAX) add('code', `${blanks} blanks`);
    else if (blanks > 0) add('plain', ' '.repeat(blanks));
    blanks = 0;
  };
  for (const character of source) {
    if (character === ' ') {
      blanks += 1;
      continue;
    }
    endBlanks();
    if (character === '\n') add('break', '\n');
    else if (UNSEEN.test(character) || BLANK.test(character)) add('code', codePoint(character));
    else if (character.codePointAt(0) > 0x7e) add('other', character);
    else add('plain', character);
  }
  endBlanks();
  return all;
}

/** Returns a text on one line, with everything that cannot be seen by its number. */
export function oneLine(source) {
  let line = '';
  for (const character of source) {
    if (character === '\n' || character === '\t') line += ' ';
    else if (UNSEEN.test(character)) line += `⟨${codePoint(character)}⟩`;
    else line += character;
  }
  return line;
}

/** The same for a text of several lines. */
export function manyLines(source) {
  return source.split('\n').map((line) => {
    const parts = line.replace(/\r$/, '').split('\t');
    return parts.map(oneLine).join('\t');
  }).join('\n');
}
