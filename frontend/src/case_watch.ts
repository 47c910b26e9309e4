/** Seen by nobody: a case that opens is announced and comes into view, and is not left by mistake. */
import { component, element, unseen } from "./component";

interface Data {
  number: number | null;
  headline: string;
  anchor: string;
  /** The key of what holds the parts below, and how often one of them was opened by hand. */
  parts: string;
  opened: number;
}

/** Milliseconds that a live region has to be there before what it says is heard. */
const HEARD_AFTER = 100;
/** Pixels of the headline that have to be in view: its first line. */
const LINE = 64;
/** Of the window's height, above a part that was opened: as much of the frame stays in view. */
const ABOVE = 0.45;
/** How often, and how long, it is looked whether what comes into view is there: in milliseconds. */
const LOOK_EVERY = 150;
const LOOK_FOR = 3000;
/** What a person does with a page. */
const HANDS = ["keydown", "pointerdown", "wheel", "touchmove"];
const REGION = "nero-announced";
const HIDDEN = "position:fixed;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";

/** Of the whole page: a case that was announced is not announced again when its page is opened again. */
let announced: number | null = null;

export default component<Data>((place) => {
  const back = unseen(place);
  let guarded = false;
  let seen = 0;
  /** Of this instance: an older one that goes takes its own away only. */
  const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
  let stop = (): void => {};
  const guard = (on: boolean): void => {
    if (on === guarded) return;
    guarded = on;
    if (on) addEventListener("beforeunload", warn);
    else removeEventListener("beforeunload", warn);
  };
  region();

  return {
    update({ number, headline, anchor, parts, opened: times }) {
      if (number === null && guarded) fromTheTop();
      guard(number !== null);
      if (number === null || !headline) return; // on another page there is nothing to announce
      if (number === announced) {
        if (times !== seen) {
          stop();
          stop = opened(parts);
        }
        seen = times;
        return;
      }
      seen = times;
      announced = number;
      announce(headline);
      stop();
      stop = follow(anchor);
    },
    remove() {
      guard(false);
      stop();
      back();
    },
  };
});

/** The one live region of the document. */
function region(): HTMLElement {
  const there = document.getElementById(REGION);
  if (there) return there;
  const made = element("div", { id: REGION, role: "status", "aria-live": "polite", style: HIDDEN });
  document.body.append(made);
  return made;
}

/** A new element each time: the same headline of another image is heard, too. */
function announce(text: string): void {
  setTimeout(() => region().replaceChildren(element("p", {}, text)), HEARD_AFTER);
}

/**
 * Bring the headline into view as the page gets its shape, and give it the focus as soon as nothing has it: what had it may
 * go only when the page has been drawn anew. Whoever does something before that is left alone.
 */
function follow(anchor: string): () => void {
  return untilHands(() => {
    const headline = document.querySelector<HTMLElement>(`.st-key-${CSS.escape(anchor)}`);
    if (!headline) return;
    intoView(headline);
    if (document.activeElement === null || document.activeElement === document.body) {
      headline.tabIndex = -1;
      headline.style.outline = "none"; // a place to read from, that no key does anything with
      headline.focus({ preventScroll: true });
    }
  });
}

/** A case that is closed leaves the focus to nobody: the page's title gets it, before the uploader. */
function fromTheTop(): void {
  untilHands(() => {
    const title = document.querySelector<HTMLElement>("h1");
    if (!title || (document.activeElement !== null && document.activeElement !== document.body)) return;
    title.tabIndex = -1;
    title.style.outline = "none";
    title.focus();
  });
}

/** Do something again and again while the page is drawn, until a person does something with it; returns what ends it. */
function untilHands(act: () => void): () => void {
  const timer = setInterval(act, LOOK_EVERY);
  const end = setTimeout(() => stop(), LOOK_FOR);
  const stop = (): void => {
    clearInterval(timer);
    clearTimeout(end);
    for (const event of HANDS) removeEventListener(event, stop, true);
  };
  for (const event of HANDS) addEventListener(event, stop, true);
  act();
  return stop;
}

/**
 * A part that was opened below the window's middle comes up as it is drawn, and leaves the lower half of the frame in view.
 * Whoever scrolls or presses something meanwhile is left alone.
 */
function opened(key: string): () => void {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return untilHands(() => {
    const tabs = document.querySelector<HTMLElement>(`.st-key-${CSS.escape(key)}`);
    // The page moves its tabs as a part is drawn, and what is moved loses the focus.
    if (document.activeElement === document.body)
      tabs?.querySelector<HTMLElement>('[role="tab"][aria-selected="true"]')?.focus({ preventScroll: true });
    if (!tabs || tabs.getBoundingClientRect().top <= ABOVE * innerHeight + 1) return;
    tabs.style.scrollMarginTop = `${ABOVE * innerHeight}px`;
    tabs.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  });
}

/** Scrolls only where the beginning of the headline is out of sight, under the page's header or below the window. */
function intoView(headline: HTMLElement): void {
  const header = document.querySelector('[data-testid="stHeader"]')?.getBoundingClientRect().bottom ?? 0;
  const { top, height } = headline.getBoundingClientRect();
  if (top >= header && top + Math.min(LINE, height) <= innerHeight) return;
  headline.style.scrollMarginTop = `${header}px`;
  headline.scrollIntoView({ block: "start" });
}
