// The login of this tab: a code in the address, which is good once, becomes a token of this tab alone.

import { keepToken, post, token } from './api.js';

/** The code of the address, until the daemon has said what it is good for. */
let kept = null;

/** Takes a code out of the address before anything else can see it. Returns null when there is none. */
export function takeCode(location, history) {
  const found = /^#code=([A-Za-z0-9_-]{1,512})$/.exec(location.hash);
  if (!location.hash.startsWith('#code=')) return null;
  history.replaceState(null, '', location.pathname);
  return found ? found[1] : '';
}

/** Says whether this tab is logged in, after having tried the code in the address. */
export async function logIn() {
  kept = takeCode(window.location, window.history) ?? kept;
  if (kept === null) return token() ? 'logged_in' : 'no_token';
  try {
    const { page_token: given } = await post('/v1/web/login', { json: { code: kept }, isOpen: true });
    kept = null;
    keepToken(given);
    return 'logged_in';
  } catch (problem) {
    // Nothing was said of the code: it is tried again.
    if (problem.kind === 'network' || problem.status === 429 || problem.status >= 500) return 'down';
    kept = null;
    // A tab that is logged in already goes on: somebody came back to the address with the used code.
    return token() ? 'logged_in' : 'code_used';
  }
}
