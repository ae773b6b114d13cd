// The login of this tab: a code in the address, which is good once, becomes a token of this tab alone.

import { keepToken, post, token } from './api.js';

/** Takes a code out of the address before anything else can see it. Returns null when there is none. */
export function takeCode(location, history) {
  const found = /^#code=([A-Za-z0-9_-]{1,512})$/.exec(location.hash);
  if (!location.hash.startsWith('#code=')) return null;
  history.replaceState(null, '', location.pathname);
  return found ? found[1] : '';
}

/** Says whether this tab is logged in, after having tried the code in the address. */
export async function logIn() {
  const code = takeCode(window.location, window.history);
  if (code === null) return token() ? 'logged_in' : 'no_token';
  try {
    const { page_token: given } = await post('/v1/web/login', { json: { code }, isOpen: true });
    keepToken(given);
    return 'logged_in';
  } catch (problem) {
    if (problem.kind === 'network') return 'down';
    // A tab that is logged in already goes on: somebody came back to the address with the used code.
    return token() ? 'logged_in' : 'code_used';
  }
}
