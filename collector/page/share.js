// A link to what is shown, for another person.

import { copyButton } from './clipboard.js';

/** Puts the button into the header. */
export function share() {
  document.getElementById('share').append(copyButton('Copy link', 'copy-link', link));
}

/** The address of the view. It has no name and no password, which the page's own address may have. */
function link() {
  return location.origin + location.pathname + location.search;
}
