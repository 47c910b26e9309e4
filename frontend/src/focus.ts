/** Elements that have a use for keys of their own. */
const TAKES_KEYS =
  "a,button,input,select,textarea,summary,audio,video,iframe,canvas,[contenteditable]:not([contenteditable='false']),[role]";

/** Whether keys mean the page: the focus is on nothing, or on what has no use for keys, such as the page's own frame. */
export function nothingHasFocus(): boolean {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active === null || active === document.body || !active.matches(TAKES_KEYS);
}
