// Dark or light: as remembered, else as the system says. A classic script, which runs before the page is painted.
(() => {
  const KEY = 'audit.theme';
  const system = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;

  // Storage can be forbidden; then the choice holds until the page is left.
  const remembered = () => {
    try { return localStorage.getItem(KEY); } catch { return root.dataset.theme; }
  };
  const remember = (theme) => {
    root.dataset.theme = theme;
    try { localStorage.setItem(KEY, theme); } catch { /* see above */ }
  };
  const current = () => root.dataset.theme ?? (system.matches ? 'dark' : 'light');

  const theme = remembered();
  if (theme === 'dark' || theme === 'light') root.dataset.theme = theme;

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const show = () => button.setAttribute('aria-pressed', String(current() === 'dark'));
    button.addEventListener('click', () => {
      remember(current() === 'dark' ? 'light' : 'dark');
      show();
    });
    system.addEventListener('change', show);
    show();
  });
})();
