// Requests that pretend to be others, and what of each must be told.

const point = (code) => `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;

const UNSEEN = [
  0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0d, 0x1b, 0x7f, 0x85, 0x9b, 0xa0, 0xad, 0x34f, 0x61c, 0x115f, 0x1160,
  0x1680, 0x17b4, 0x180b, 0x180e, 0x2000, 0x2003, 0x2007, 0x200a, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f,
  0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x202f, 0x205f, 0x2060, 0x2061, 0x2064, 0x2066,
  0x2067, 0x2068, 0x2069, 0x206a, 0x206f, 0x2800, 0x3000, 0x3164, 0xe000, 0xfe0f, 0xfeff, 0xffa0, 0xfff9,
  0xfffb, 0xd800, 0xdfff, 0xe0001, 0xe0041, 0xe007f, 0xe0100, 0x1bca0, 0x1d173, 0xf0000, 0x10ffff,
];

const letters = (code) => (
  code >= 0xd800 && code <= 0xdfff ? String.fromCharCode(code) : String.fromCodePoint(code)
);

export const SPOOFS = [
  ...UNSEEN.map((code) => ({
    name: point(code), text: `rm -rf ${letters(code)}./build`, tells: point(code),
  })),
  { name: 'reversed', text: 'echo safe # \u202efr- mr', tells: 'U+202E' },
  { name: 'overwritten', text: 'rm -rf / \rls      ', tells: 'U+000D' },
  { name: 'far away', text: `ls${' '.repeat(100_000)}; rm -rf /`, tells: '100000 blanks' },
  { name: 'below', text: `ls${'\n'.repeat(500)}rm -rf /`, tells: '\n' },
  { name: 'look-alike', text: 'curl https://g\u043e\u043egle.com', tells: '\u043e\u043e' },
  { name: 'wide', text: 'ls\uff1brm', tells: '\uff1b' },
  { name: 'tags', text: `ls${[...'rm -rf'].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join('')}`, tells: 'U+E0072' },
  { name: 'erased', text: 'rm -rf /\x1b[2K\x1b[1Gls', tells: 'U+001B' },
];
