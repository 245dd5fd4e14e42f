// The sessions, and the way to the timeline of one.

import { get } from './api.js';
import { el, notice, show } from './dom.js';
import { choice } from './filters.js';
import { repeat } from './poll.js';
import { renew, sessionRow, sessionTable } from './session.js';
import { timeline } from './timeline.js';
import { changed, go, href, params } from './url.js';

const EVERY = 5000;
const PAGE = 100;
const TYPING = 350;

/** The list, or with the parameter `key` one session. */
export function sessions(root) {
  let key;
  let inner = null;

  function update() {
    const wanted = params().get('key');
    if (wanted === key) return inner.update();
    inner?.stop();
    key = wanted;
    inner = key === null ? list(root) : timeline(root, key);
  }

  update();
  return { update, stop: () => inner.stop() };
}

function query() {
  const now = params();
  return { user: now.get('user'), state: now.get('state'), from: now.get('from') };
}

function list(root) {
  const form = filterForm();
  const { whole, body } = sessionTable('Sessions, last seen first');
  const state = el('div', { class: 'list-state' }, notice('loading', 'Loading'));
  const older = el('button', { type: 'button', class: 'button older', hidden: true }, 'Older sessions');
  let cursor = null;
  let pages = 0;
  let asked = JSON.stringify(query());

  async function look(signal) {
    // What somebody has turned the pages to is not taken away from under the eyes.
    if (pages > 1) return;
    try {
      const answer = await get('/api/sessions', { ...query(), limit: PAGE }, signal);
      pages = 1;
      renew(body, answer.sessions.map(sessionRow));
      settle(answer.next_cursor);
    } catch (error) {
      if (!signal.aborted && pages === 0) show(state, notice('error', 'The sessions cannot be shown', error.message));
      throw error;
    }
  }

  function settle(next) {
    cursor = next;
    older.hidden = cursor === null;
    whole.hidden = body.rows.length === 0;
    show(state, body.rows.length > 0 ? null : notice('empty', 'No session', 'A session is seen as soon as a record names it.'));
  }

  older.addEventListener('click', async () => {
    const mine = cursor;
    try {
      const answer = await get('/api/sessions', { ...query(), limit: PAGE, cursor });
      if (mine !== cursor) return;
      pages += 1;
      body.append(...answer.sessions.map(sessionRow));
      settle(answer.next_cursor);
    } catch (error) {
      show(state, notice('error', 'No older sessions can be shown', error.message));
    }
  });

  function update() {
    form.update();
    const now = JSON.stringify(query());
    if (now === asked) return;
    asked = now;
    pages = 0;
    polling.now();
  }

  show(root, el('h1', { class: 'hidden' }, 'Sessions'), form.whole, whole, state, older);
  form.update();
  const polling = repeat(EVERY, look);
  polling.now();
  return { update, stop: polling.stop };
}

function filterForm() {
  const user = el('input', { id: 'filter-user', type: 'text', autocomplete: 'off', spellcheck: 'false' });
  const state = choice('state', 'State', [['', 'Any state'], ['open', 'Open'], ['ended', 'Ended']]);
  const range = choice('range', 'Last seen', [['', 'Any time'], ['1h', 'Last hour'], ['1d', 'Last day'], ['7d', 'Last 7 days']]);
  let timer = null;
  const set = (changes) => go(href(changed(changes)));
  user.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => set({ user: user.value.trim() }), TYPING);
  });
  state.control.addEventListener('change', () => set({ state: state.control.value }));
  range.control.addEventListener('change', () => set({ from: range.control.value }));

  function update() {
    const { user: name, state: which, from } = query();
    if (document.activeElement !== user) user.value = name ?? '';
    state.control.value = which ?? '';
    range.control.value = from ?? '';
  }

  const whole = el('form', { class: 'filters', role: 'search', 'aria-label': 'Filter the sessions', on: { submit: (event) => event.preventDefault() } },
    el('div', { class: 'filter' }, el('label', { for: 'filter-user' }, 'User id'), user), state.whole, range.whole);
  return { whole, update };
}
