/** The images of a case as thumbnails in a row, one of them chosen. */
import { component, element, placed, set, within, write, type Tell } from "./component";
import { nothingHasFocus } from "./focus";
import styles from "./filmstrip.css";

interface Thumbnail {
  /** Empty where it is not read, or cannot be: its word stands in its place. */
  picture: string;
  name: string;
  mark: string;
  word: string;
  colour: string;
  flagged: boolean;
}

interface Data {
  frames: Thumbnail[];
  chosen: number;
  /** Number of the last that Python was told by this strip. */
  heard: number;
  counts: string;
  words: { label: string; next: string; none: string };
}

/** Milliseconds without another key after which Python is told: of keys that come fast, only the last. */
const SETTLED_AFTER = 60;

export default component<Data>((place, tell) => {
  const counts = element("p", { class: "counts" });
  const next = element("button", { type: "button" });
  const strip = element("div", { class: "strip", role: "listbox", "aria-orientation": "horizontal" });
  const root = element("div", { class: "nero whole" }, element("div", { class: "head" }, counts, next), strip);
  const out = placed(place, styles, root);
  const chosen = new Chosen(tell);
  let data: Data | null = null;

  const options = (): HTMLElement[] => [...strip.children] as HTMLElement[];

  const draw = (): void => {
    if (!data) return;
    const { frames, words } = data;
    while (strip.children.length > frames.length) strip.lastElementChild?.remove();
    while (strip.children.length < frames.length) strip.append(option());
    frames.forEach((frame, at) => dress(options()[at]!, frame));
    set(strip, "aria-label", words.label);
    write(counts, data.counts);
    mark();
  };

  const mark = (): void => {
    if (!data) return;
    options().forEach((each, at) => {
      set(each, "aria-selected", String(at === chosen.now));
      each.tabIndex = at === chosen.now ? 0 : -1;
    });
    const other = nextFlagged();
    set(next, "aria-disabled", String(other === null));
    write(next, other === null ? data.words.none : data.words.next);
  };

  /** The next that is flagged, from the beginning again after the end; null where no other is. */
  const nextFlagged = (): number | null => {
    const frames = data?.frames ?? [];
    for (let step = 1; step < frames.length; step++) {
      const at = (chosen.now + step) % frames.length;
      if (frames[at]!.flagged) return at;
    }
    return null;
  };

  const choose = (at: number | null): void => {
    if (at === null || !data) return;
    const to = within(at, 0, data.frames.length - 1);
    const focused = strip.contains(focusIn(place));
    if (to !== chosen.now) {
      chosen.go(to);
      mark();
    }
    const option = options()[to];
    if (option) intoView(strip, option);
    if (focused) option?.focus({ preventScroll: true });
  };

  const goes: Record<string, () => number> = {
    ArrowLeft: () => chosen.now - 1,
    ArrowRight: () => chosen.now + 1,
    Home: () => 0,
    End: () => Infinity,
  };

  /** Keys of the page at large are those that nothing else has a use for. */
  const onKey = (event: KeyboardEvent, arrows: boolean, ends: boolean): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (event.key.toLowerCase() === "n") choose(nextFlagged());
    else if (event.key in goes && arrows && (ends || event.key.startsWith("Arrow"))) choose(goes[event.key]!());
    else return;
    event.preventDefault();
  };
  root.addEventListener("keydown", (event) => onKey(event, strip.contains(event.target as Node), true));
  const everywhere = (event: KeyboardEvent): void => {
    if (nothingHasFocus()) onKey(event, true, false);
  };
  document.addEventListener("keydown", everywhere);

  next.addEventListener("click", () => choose(nextFlagged()));
  strip.addEventListener("click", (event) => {
    const at = options().findIndex((each) => each.contains(event.target as Node));
    if (at < 0) return;
    choose(at);
    options()[at]?.focus({ preventScroll: true });
  });

  return {
    update(now) {
      const before = chosen.now;
      data = now;
      chosen.hear(now.chosen, now.heard);
      draw();
      const option = options()[chosen.now];
      if (option && before !== chosen.now) intoView(strip, option);
    },
    remove() {
      document.removeEventListener("keydown", everywhere);
      chosen.stop();
      out();
    },
  };
});

/**
 * Which image is chosen: at once where somebody goes there, and as Python says otherwise.
 *
 * What is told has a number, and Python says the last that it has heard: what it says before it has heard the last is late.
 */
class Chosen {
  now = -1;
  private told: number | null = null;
  private waiting: number | undefined;

  constructor(private readonly tell: Tell) {}

  go(to: number): void {
    this.now = to;
    this.stop();
    this.waiting = setTimeout(() => {
      this.waiting = undefined;
      this.told = (this.told ?? 0) + 1;
      this.tell.state("chosen", [to, this.told]);
    }, SETTLED_AFTER);
  }

  hear(chosen: number, heard: number): void {
    this.told ??= heard;
    if (this.waiting === undefined && heard === this.told) this.now = chosen;
  }

  stop(): void {
    clearTimeout(this.waiting);
    this.waiting = undefined;
  }
}

function option(): HTMLElement {
  return element("div", { role: "option", class: "frame" }, element("span", { class: "picture" }), element("span", { class: "mark" }));
}

function dress(option: HTMLElement, frame: Thumbnail): void {
  const [picture, mark] = option.children as unknown as [HTMLElement, HTMLElement];
  set(option, "aria-label", `${frame.name}: ${frame.word}`);
  set(option, "title", `${frame.name}: ${frame.word}`);
  option.style.setProperty("--state", frame.colour);
  write(mark, frame.mark);
  mark.hidden = frame.picture === "";
  const shown = picture.querySelector("img");
  if (!frame.picture) picture.replaceChildren(element("span", { class: "unread", "aria-hidden": "true" }, frame.word));
  else if (shown) set(shown, "src", frame.picture);
  else picture.replaceChildren(element("img", { src: frame.picture, alt: "", loading: "lazy", decoding: "async" }));
}

/** The element of a place that has the focus. */
function focusIn(place: HTMLElement | ShadowRoot): Element | null {
  return place instanceof ShadowRoot ? place.activeElement : document.activeElement;
}

/** Scrolls the strip alone, never the page. */
function intoView(strip: HTMLElement, option: HTMLElement): void {
  const [all, one] = [strip.getBoundingClientRect(), option.getBoundingClientRect()];
  const margin = one.width / 2; // so that one sees that there are more
  if (one.left - margin < all.left) strip.scrollLeft -= all.left - one.left + margin;
  else if (one.right + margin > all.right) strip.scrollLeft += one.right + margin - all.right;
}
