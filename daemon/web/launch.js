// Forms: a new session, and the continuation of an agent's.

import { open } from './dialogs.js';
import { h, setHidden, setText } from './dom.js';
import { nameOf, text } from './words.js';

const AGENTS = [
  ['claude', 'Claude Code'], ['codex', 'Codex'], ['gemini', 'Gemini CLI'], ['opencode', 'opencode'], ['acp', 'another, by the Agent Client Protocol'],
];
/** Folders that are offered. */
const FOLDERS_MAX = 20;

/** Splits a command as a shell would, without expanding anything. Null when a quote is left open. */
export function words(line) {
  const all = [];
  let current = null;
  let quote = null;
  for (let at = 0; at < line.length; at += 1) {
    const letter = line[at];
    if (quote === "'") {
      if (letter === "'") quote = null; else current += letter;
    } else if (letter === '\\' && at + 1 < line.length && (!quote || /["\\$`\n]/.test(line[at + 1]))) {
      at += 1;
      current = (current ?? '') + line[at];
    } else if (quote === '"') {
      if (letter === '"') quote = null; else current += letter;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      current ??= '';
    } else if (/\s/.test(letter)) {
      if (current !== null) all.push(current);
      current = null;
    } else {
      current = (current ?? '') + letter;
    }
  }
  if (quote) return null;
  if (current !== null) all.push(current);
  return all;
}

function field(label, input, hint = null) {
  return h('label', { class: 'field' }, label, input, hint && h('span', { class: 'fine' }, hint));
}

function check(label, input) {
  return h('label', { class: 'check' }, input, label);
}

/** Opens the form for a new session. `onLaunched` gets its id. */
export function launch(store, actions, onLaunched) {
  const views = [...store.state.sessions.values()].map((entry) => entry.view).sort((one, other) => (one.id < other.id ? 1 : -1));
  const folders = [...new Set(views.map((view) => text(view.cwd)))].slice(0, FOLDERS_MAX);
  const parts = {
    command: h('textarea', { rows: 2, spellcheck: 'false', autocapitalize: 'off', name: 'command' }),
    shell: h('input', { type: 'checkbox', checked: true }),
    held: h('input', { type: 'checkbox' }),
    agent: h('select', { name: 'agent' }, AGENTS.map(([kind, name]) => h('option', { value: kind }, name))),
    prompt: h('textarea', { rows: 5, name: 'prompt' }),
    model: h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false' }),
    mode: h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false' }),
    interactive: h('input', { type: 'checkbox' }),
    folder: h('input', { type: 'text', list: 'folders', value: folders[0] ?? '', spellcheck: 'false', autocomplete: 'off', name: 'folder' }),
    title: h('input', { type: 'text', maxlength: '200', autocomplete: 'off', name: 'title' }),
    limit: h('input', { type: 'number', min: '1', step: '1', inputmode: 'numeric' }),
    said: h('p', { class: 'trouble', role: 'alert' }),
  };
  const kinds = ['command', 'agent'].map((kind) => h('input', { type: 'radio', name: 'kind', value: kind, checked: kind === 'command' }));
  const ofCommand = h('fieldset', { class: 'plain' }, field('Command', parts.command),
    check('Through the shell (sh -c)', parts.shell), check('Keep its input open, to send it something later', parts.held));
  const ofAgent = h('fieldset', { class: 'plain', hidden: true }, field('Agent', parts.agent), field('What it is to do', parts.prompt),
    h('div', { class: 'two' }, field('Model (optional)', parts.model), field('Permission mode (optional)', parts.mode)),
    check('Goes on with my messages until I finish it', parts.interactive));
  const start = h('button', { type: 'submit', class: 'primary' }, 'Start');
  let [sent, key] = [null, null];
  const isAgent = () => kinds[1].checked;
  for (const kind of kinds) {
    kind.addEventListener('change', () => {
      setHidden(ofCommand, isAgent());
      setHidden(ofAgent, !isAgent());
    });
  }
  const dialog = open('New session', (close) => h('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      const request = requestOf(parts, isAgent());
      setText(parts.said, typeof request === 'string' ? request : '');
      if (typeof request === 'string') return;
      // The same request under the same name is launched once, however often it is sent.
      const json = JSON.stringify(request);
      if (json !== sent) [sent, key] = [json, crypto.randomUUID()];
      start.disabled = true;
      const done = await actions.launch(request, key);
      start.disabled = false;
      if (!done) {
        setText(parts.said, 'It is not known to have started. What you typed is kept: Start asks again, and starts it once.');
        return;
      }
      close();
      onLaunched(done.result);
    },
  },
  h('div', { class: 'switch', role: 'radiogroup', 'aria-label': 'What to run' }, ['A command', 'An agent'].map((label, at) => h('label', {}, kinds[at], h('span', {}, label)))),
  ofCommand, ofAgent,
  field('Folder', parts.folder), h('datalist', { id: 'folders' }, folders.map((folder) => h('option', { value: folder }))),
  h('div', { class: 'two' }, field('Title (optional)', parts.title), field('Time limit in minutes (optional)', parts.limit)),
  parts.said,
  h('footer', { class: 'dialog-end' }, h('button', { type: 'button', onclick: close }, 'Cancel'),
    start)));
  parts.command.focus();
  return dialog;
}

/** Returns what is asked of the daemon, or a sentence that says what is missing. */
function requestOf(parts, isAgent) {
  const cwd = parts.folder.value.trim();
  if (!cwd.startsWith('/')) return 'Name the folder to run in, from / on.';
  const title = parts.title.value.trim() || null;
  const minutes = parts.limit.value === '' ? null : Number(parts.limit.value);
  if (minutes !== null && !(minutes > 0)) return 'Give the time limit in minutes, or leave it out.';
  const common = { cwd, title, timeout_ms: minutes && Math.round(minutes * 60_000) };
  if (isAgent) {
    const prompt = parts.prompt.value;
    if (!prompt.trim()) return 'Say what the agent is to do.';
    const agent = { kind: parts.agent.value, prompt, interactive: parts.interactive.checked };
    if (parts.model.value.trim()) agent.model = parts.model.value.trim();
    if (parts.mode.value.trim()) agent.permission_mode = parts.mode.value.trim();
    return { ...common, command: [], agent };
  }
  const line = parts.command.value.trim();
  if (!line) return 'Type the command to run.';
  const command = parts.shell.checked ? ['sh', '-c', line] : words(line);
  if (!command) return 'A quote is not closed.';
  return { ...common, command, ...(parts.held.checked ? { input: 'held' } : {}) };
}

/** Opens the form that continues an agent's session. */
export function goOn(view, actions, onLaunched) {
  const prompt = h('textarea', { rows: 5 });
  const fork = h('input', { type: 'checkbox' });
  const said = h('p', { class: 'trouble', role: 'alert' });
  open('Continue', (close) => h('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      setText(said, prompt.value.trim() ? '' : 'Say what the agent is to do next.');
      if (!prompt.value.trim()) return;
      close();
      const done = await actions.continue(view.id, { prompt: prompt.value, title: view.title, fork: fork.checked });
      if (done) onLaunched(done.result);
    },
  },
  h('p', {}, nameOf(view)),
  field('What it is to do next', prompt), check('Go on with a copy, and leave this one as it is', fork), said,
  h('footer', { class: 'dialog-end' }, h('button', { type: 'button', onclick: close }, 'Cancel'),
    h('button', { type: 'submit', class: 'primary' }, 'Continue'))));
  prompt.focus();
}
