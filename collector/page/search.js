// The search field of the header: people, sessions and actions by the beginning of their names.

import { get } from './api.js';
import { combobox } from './combobox.js';
import { el } from './dom.js';
import { go, href } from './url.js';

/** Kinds of suggestions, with what they are called. */
const KINDS = { user: 'user', user_name: 'name', user_email: 'e-mail', session: 'session', action: 'action' };

/** Puts the field into the header. */
export function search() {
  document.getElementById('search').append(combobox({
    id: 'search-field',
    label: 'User, name, e-mail, session or action',
    look: async (q, signal) => (await get('/api/search', { q }, signal)).suggestions,
    line,
    choose: (suggestion) => {
      go(target(suggestion));
      document.getElementById('view').focus();
    },
  }));
}

function line({ kind, value, user_id: user }) {
  const owner = user !== null && kind !== 'user' ? `user ${user}` : null;
  return [el('span', { class: 'suggestion-value' }, value), ' ', el('span', { class: 'muted' }, [KINDS[kind] ?? kind, owner].filter(Boolean).join(', '))];
}

/** Where a suggestion leads: to the person, to the session, or to the records of what it is. */
function target({ kind, value, user_id: user }) {
  if (kind === 'session') return href({ view: 'sessions', key: value });
  if (kind !== 'action' && user !== null) return href({ view: 'person', user });
  return href({ [kind]: value });
}
