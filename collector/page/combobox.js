// A text field with a list of suggestions, after the combobox pattern of WAI-ARIA: the focus stays in the field.

import { el, show } from './dom.js';

/** Milliseconds without a key after which suggestions are looked up. */
const TYPING = 150;

/**
 * A field with the id `id`. `look(text, signal)` yields suggestions, `line(suggestion)` the content of one, and
 * `choose(suggestion)` is called with the one that is taken. Enter takes the only one, or moves to the first.
 */
export function combobox({ id, label, look, line, choose }) {
  const input = el('input', {
    id, type: 'search', role: 'combobox', placeholder: label, autocomplete: 'off', spellcheck: 'false', maxlength: '256',
    'aria-label': label, 'aria-autocomplete': 'list', 'aria-expanded': 'false', 'aria-controls': `${id}-list`,
  });
  const list = el('ul', { id: `${id}-list`, class: 'suggestions', role: 'listbox', 'aria-label': 'Suggestions', hidden: true });
  const status = el('p', { class: 'hidden', role: 'status' });
  let found = [];
  let active = -1;
  let asked = null;
  let timer = null;

  /** Looks up what is typed; an answer to an earlier text is ignored. Resolves to whether it is shown. */
  async function suggest() {
    stop();
    const text = input.value.trim();
    if (text === '') return close();
    const mine = asked = new AbortController();
    try {
      const suggestions = await look(text, mine.signal);
      if (mine !== asked) return false;
      open(suggestions);
      return true;
    } catch (error) {
      if (mine === asked) fail(error.message);
      return false;
    }
  }

  function stop() {
    clearTimeout(timer);
    asked?.abort();
    asked = null;
  }

  function open(suggestions) {
    found = suggestions;
    const options = found.map((suggestion, index) => el('li', { id: `${id}-${index}`, role: 'option', 'aria-selected': 'false', 'data-index': index }, line(suggestion)));
    const none = 'Nothing begins like this.';
    show(list, options.length > 0 ? options : message(none));
    status.textContent = found.length === 0 ? none : found.length === 1 ? '1 suggestion' : `${found.length} suggestions`;
    expand(true);
    move(-1);
  }

  function fail(text) {
    found = [];
    show(list, message(text));
    status.textContent = text;
    expand(true);
    move(-1);
  }

  function close() {
    stop();
    found = [];
    status.textContent = '';
    expand(false);
    move(-1);
    return false;
  }

  function expand(isOpen) {
    list.hidden = !isOpen;
    input.setAttribute('aria-expanded', String(isOpen && found.length > 0));
  }

  /** Makes one option the active one; -1 for none. */
  function move(index) {
    active = index;
    for (const option of list.querySelectorAll('[role=option]')) option.setAttribute('aria-selected', String(Number(option.dataset.index) === index));
    if (index < 0) return input.removeAttribute('aria-activedescendant');
    input.setAttribute('aria-activedescendant', `${id}-${index}`);
    list.children[index].scrollIntoView({ block: 'nearest' });
  }

  function take(suggestion) {
    input.value = '';
    close();
    choose(suggestion);
  }

  async function enter() {
    if (active >= 0) return take(found[active]);
    if (!await suggest()) return;
    if (found.length === 1) take(found[0]);
    else if (found.length > 1) move(0);
  }

  async function arrow(step) {
    if (list.hidden && !await suggest()) return;
    if (found.length === 0) return;
    // Before the first and after the last stands the field itself.
    const places = found.length + 1;
    move((active + 1 + step + places) % places - 1);
  }

  const KEYS = {
    ArrowDown: () => arrow(1),
    ArrowUp: () => arrow(-1),
    Enter: enter,
    Escape: () => {
      if (list.hidden) input.value = '';
      close();
    },
  };
  input.addEventListener('keydown', (event) => {
    const act = KEYS[event.key];
    if (!act || event.isComposing) return;
    event.preventDefault();
    act();
  });
  input.addEventListener('input', () => {
    stop();
    if (active >= 0) move(-1);
    timer = setTimeout(suggest, TYPING);
  });
  input.addEventListener('blur', close);
  // A press would take the focus from the field, and close the list before the click.
  list.addEventListener('mousedown', (event) => event.preventDefault());
  list.addEventListener('click', (event) => {
    const option = event.target.closest('[role=option]');
    if (option) take(found[Number(option.dataset.index)]);
  });

  return el('div', { class: 'combobox' }, input, list, status);
}

function message(text) {
  return el('li', { class: 'suggestion-none', role: 'presentation' }, text);
}
