// The clipboard, and a button that shows whether a copy was made.

import { el } from './dom.js';

/** Milliseconds for which a button shows the result. */
const SHOWN = 2000;

/** A button with these words, which copies what `text()` yields. */
export function copyButton(words, className, text) {
  const label = el('span', { role: 'status' }, words);
  const button = el('button', { type: 'button', class: `button ${className}` }, label);
  let timer = null;
  button.addEventListener('click', async () => {
    label.textContent = await copied(text()) ? 'Copied' : 'Not copied';
    clearTimeout(timer);
    timer = setTimeout(() => { label.textContent = words; }, SHOWN);
  });
  return button;
}

/** The clipboard is for secure contexts only; elsewhere the old way works. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByCommand(text);
  }
}

function copiedByCommand(text) {
  const focused = document.activeElement;
  const area = el('textarea', { class: 'hidden', 'aria-hidden': 'true' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  focused?.focus();
  return done;
}
