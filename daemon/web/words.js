// What is known, in words. It decides nothing, and reads no clock: who asks says what time it is.

/** Returns what is sent as a text, or as bytes where it is none. */
export function text(value) {
  if (typeof value === 'string') return value;
  if (value && typeof value.bytes === 'string') {
    const bytes = Uint8Array.from(atob(value.bytes), (letter) => letter.charCodeAt(0));
    return new TextDecoder().decode(bytes);
  }
  return '';
}

/** Returns a status or an outcome as it is shown: the same word as everywhere, without the underline. */
export function word(name) {
  return (name ?? '').replaceAll('_', ' ');
}

export function shortId(id) {
  return id.slice(-8);
}

/** Returns what a session is called: its title, what its agent was told, or its command. */
export function nameOf(view) {
  if (view.title) return view.title;
  if (view.agent?.prompt) return view.agent.prompt.split('\n').find((line) => line.trim()) ?? '';
  return commandLine(view.command);
}

const QUOTED = /[^A-Za-z0-9_@%+=:,./-]/;

/** Returns a command as a shell would take it. */
export function commandLine(command) {
  return command.map((part) => {
    const own = text(part);
    if (own !== '' && !QUOTED.test(own)) return own;
    return `'${own.replaceAll("'", `'\\''`)}'`;
  }).join(' ');
}

/** Returns the command that does the same again. */
export function runAgain(view) {
  const folder = commandLine([view.cwd]);
  if (!view.agent) {
    const input = view.input === 'held' ? '--stdin ' : '';
    return `candor run ${input}--cwd ${folder} -- ${commandLine(view.command)}`;
  }
  const { kind, model_ordered: model, permission_mode: mode, prompt, interactive } = view.agent;
  const options = ['--cwd', folder];
  if (model) options.push('--model', commandLine([model]));
  if (mode) options.push('--permission-mode', commandLine([mode]));
  if (interactive) options.push('--interactive');
  return `candor run --agent ${kind} ${options.join(' ')} ${commandLine([prompt])}`;
}

export function exitText(exit) {
  if (!exit) return '';
  if (exit.code !== undefined) return `exit code ${exit.code}`;
  return exit.core_dumped ? `${exit.signal}, core dumped` : exit.signal;
}

const LOST = {
  daemon_killed: 'the daemon was killed while it ran, and nobody saw its exit',
  shim_killed: 'the process that watched it was killed, and nobody saw its exit',
  shim_and_daemon_killed: 'the daemon and the process that watched it were killed, and nobody saw its exit',
  launch_unknown: 'nothing tells what became of its launch',
  reboot: 'the machine was restarted while it ran, and nobody saw its exit',
  bad_record: 'what was recorded of it is damaged, and nobody saw its exit',
  dir_removed: 'its folder was removed while it ran, and nobody saw its exit',
};

/** Says in a sentence where a session stands, and why. */
export function sentence(view) {
  const { status, outcome, intent, exit, report } = view;
  const asked = intent ? `${person(intent.by)} asked for it (${word(intent.kind)})` : '';
  switch (outcome) {
    case null: case undefined: break;
    case 'succeeded': return intent && intent.kind !== 'finish'
      ? 'It had succeeded before its end was asked for.' : 'It ended well by itself.';
    case 'interrupted': return `It was interrupted: ${asked || 'somebody asked for it'}.`;
    case 'timed_out': return 'Its time limit was over, so it was stopped.';
    case 'spawn': return spawnText(view);
    case 'agent_error': return `The agent reported an error${report?.message ? `: ${report.message}` : '.'}`;
    case 'no_report': return 'The agent ended without saying how its work went.';
    case 'exit_code': return `It failed by itself with ${exitText(exit)}, and nobody had asked for its end.`;
    case 'signal': case 'core_dump':
      return `It was ended by ${exitText(exit)}, which nobody here had asked for.`;
    case 'oom_kill': return 'The kernel ended it because memory ran out.';
    default: return `It is lost: ${LOST[outcome] ?? word(outcome)}.`;
  }
  switch (status) {
    case 'queued': return 'It waits for the session before it to end.';
    case 'starting': return 'Its launch is accepted; whether there is a process is not known yet.';
    case 'waiting_input': return view.agent?.awaits_message
      ? 'Its turn has ended, and it waits for your next message.' : 'It waits for your answer.';
    case 'completing': return intent
      ? `Its end is decided: ${asked}. The process is not known to be gone yet.`
      : 'It has reported its end. The process is not known to be gone yet.';
    case 'running': return view.agent?.trouble
      ? `It is hindered: ${view.agent.trouble.message}` : 'Its process is up and works.';
    default: return '';
  }
}

function spawnText({ evidence, command, cwd }) {
  const { spawn } = evidence;
  const program = text(command[0]);
  if (!spawn) return 'It was never started. Launch it again if you still want it.';
  if (spawn.stage === 'folder') return `It could not run in ${text(cwd)} (error ${spawn.errno}).`;
  if (spawn.stage === 'exec' && spawn.errno === 2) return `${program}: there is no such program.`;
  if (spawn.stage === 'exec' && spawn.errno === 13) return `${program} may not be executed.`;
  return `${program} could not be started (${spawn.stage}, error ${spawn.errno}).`;
}

/** Says who did something. */
export function person(by) {
  if (!by) return 'somebody';
  if (by.startsWith('user:')) return `user ${by.slice(5)}`;
  if (by.startsWith('session:')) return `session ${shortId(by)}`;
  return by === 'daemon' ? 'the daemon' : by;
}

const CAUSES = {
  launched: 'launched', queued: 'queued', parent_ended: 'the session before it ended', spawned: 'process started',
  adopted: 'process found again', spawn_refused: 'could not be started', never_ran: 'never ran',
  request_opened: 'the agent asks', request_closed: 'the request was closed',
  reported: 'the agent reported its end', turn_ended: 'turn ended', turn_began: 'turn began',
  settings_changed: 'settings changed', rung_ask: 'asked to stop', rung_interrupt: 'SIGINT sent',
  rung_interrupt_again: 'SIGINT sent again', rung_terminate: 'SIGTERM sent', rung_kill: 'SIGKILL sent',
  exited: 'process ended', gone: 'process is gone', removed: 'removed', interrupt: 'interrupt asked for',
  kill: 'kill asked for', timeout: 'time limit over', shutdown: 'shutdown of all sessions',
  superseded: 'another session goes on with it', finish: 'finish asked for',
};

export function causeText(cause) {
  return CAUSES[cause] ?? word(cause);
}

const SUPERVISION = {
  reconciling: 'The daemon has just started, and looks for its process.',
  unreachable: 'What watches it does not answer: what is shown may be old.',
  unsupervised: 'What watched it was killed: it can be stopped, and its exit may be lost.',
};

export function supervisionText(supervision) {
  return SUPERVISION[supervision] ?? '';
}

/** Returns a time span in at most two units. */
export function spanText(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 && minutes < 10 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** Returns how long a session has run, or ran. */
export function durationText(view, now) {
  const from = Date.parse(view.started_at ?? view.created_at);
  const to = view.ended_at ? Date.parse(view.ended_at) : now;
  return spanText(to - from);
}

/** Returns a time of day, with the date where it is not of today. */
export function timeText(at, now) {
  if (!at) return '';
  const time = new Date(at);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0')).join(':');
  if (now !== undefined && new Date(now).toDateString() === time.toDateString()) return clock;
  const day = [time.getFullYear(), time.getMonth() + 1, time.getDate()]
    .map((part) => String(part).padStart(2, '0')).join('-');
  return `${day} ${clock}`;
}

export function bytesText(count) {
  if (count < 1024) return `${count} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let size = count;
  let unit = -1;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** Returns a large count in at most four letters. */
export function countText(count) {
  if (count < 1000) return String(count);
  if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)}k`;
  return `${(count / 1e6).toFixed(1)}M`;
}

export function usageText(usage, cost) {
  const parts = [];
  if (usage?.input_tokens || usage?.output_tokens) {
    parts.push(`${countText(usage.input_tokens + (usage.cached_tokens ?? 0))} tokens in`,
      `${countText(usage.output_tokens)} out`);
  }
  if (cost !== null && cost !== undefined) parts.push(`$${cost < 1 ? cost.toFixed(4) : cost.toFixed(2)}`);
  return parts.join(' · ');
}
