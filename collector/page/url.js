// Where the page stands is its URL: views, filters and open records can be shared, and the back button works.

const listeners = new Set();

/** The parameters of the URL. */
export function params() {
  return new URLSearchParams(location.search);
}

/** The page's address with these parameters, the empty ones left out. */
export function href(entries) {
  const kept = new URLSearchParams();
  for (const [name, value] of entries instanceof URLSearchParams ? entries : Object.entries(entries)) {
    if (value) kept.set(name, value);
  }
  const query = kept.toString();
  return query ? `/?${query}` : '/';
}

/** The present parameters with some of them changed; null removes one. */
export function changed(changes) {
  const next = params();
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  return next;
}

/** Goes to an address of the page; `replace` makes no new entry in the history. */
export function go(address, replace = false) {
  if (address === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  for (const listener of listeners) listener();
}

/** Calls `listener` whenever the parameters have changed. */
export function onChange(listener) {
  listeners.add(listener);
  addEventListener('popstate', listener);
}

/** Lets plain clicks on links of the page go on without loading it anew. */
export function followLinks() {
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-link]');
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute('href'));
  });
}
