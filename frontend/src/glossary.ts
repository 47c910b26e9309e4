/** Seen by nobody: terms in the text of the page are underlined, and explained to a pointer that rests on them. */
import { component, element, unseen, within } from "./component";
import css from "./glossary.css";
import { type Found, type Term, Vocabulary, isLeftAlone } from "./terms";

interface Data {
  terms: Term[];
}

/** The name of the highlight, and that of the one node of ours in the page. */
const MARK = "nero-term";
const TIP = "nero-explained";
const MAIN = "[data-testid=stMain]";
/** Milliseconds: after the last change of the page; that a pointer rests; that it may be between a term and its tooltip. */
const CALM = 250;
const REST = 250;
const GRACE = 250;
/** Pixels that stay free at the window's edges. */
const EDGE = 8;
/** The page's own colours, which what hangs in the body does not have. */
const THEME = ["--st-text-color", "--st-background-color", "--st-border-color", "--st-font"];

export default component<Data>((place) => {
  const back = unseen(place);
  if (!("highlights" in CSS) || typeof Highlight === "undefined") return { update() {}, remove: back };
  const host = place instanceof ShadowRoot ? place.host : place;
  const styles = new CSSStyleSheet();
  styles.replaceSync(css);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, styles];
  const marks = new Marks();
  const tooltip = new Tooltip(marks, host);
  let given = "";

  return {
    update({ terms }) {
      const now = JSON.stringify(terms);
      if (now !== given) marks.lookFor(new Vocabulary(terms));
      given = now;
    },
    remove() {
      tooltip.remove();
      marks.remove();
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== styles);
      back();
    },
  };
});

/** Terms where they stand; looked for again once the page is calm after a change. */
class Marks {
  private vocabulary = new Vocabulary([]);
  private readonly highlight = new Highlight();
  private readonly byText = new Map<Text, Found[]>();
  /** Called when everything was looked for again. */
  looked: () => unknown = () => {};
  private timer: number | undefined;
  private readonly changes = new MutationObserver((changes) => {
    if (changes.some(({ target }) => !isLeftAlone(target))) this.soon();
  });

  constructor() {
    CSS.highlights.set(MARK, this.highlight);
    this.changes.observe(document.querySelector("#root") ?? document.body, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  }

  lookFor(vocabulary: Vocabulary): void {
    this.vocabulary = vocabulary;
    this.soon();
  }

  /** The term at a point of the window. */
  at(x: number, y: number): Found | undefined {
    const caret = caretAt(x, y);
    if (!caret) return undefined;
    const near = this.byText.get(caret.node as Text)?.filter(({ start, end }) => start <= caret.at && caret.at <= end);
    // The nearest letter is found also from far beside it.
    return near?.find((each) => boxesOf(each).some((box) => holds(box, x, y)));
  }

  remove(): void {
    clearTimeout(this.timer);
    this.changes.disconnect();
    if (CSS.highlights.get(MARK) === this.highlight) CSS.highlights.delete(MARK); // another of us may have come
  }

  private soon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), CALM);
  }

  private look(): void {
    const main = document.querySelector(MAIN);
    this.highlight.clear();
    this.byText.clear();
    for (const found of main ? this.vocabulary.within(main) : []) {
      const { text, start, end } = found;
      this.highlight.add(new StaticRange({ startContainer: text, startOffset: start, endContainer: text, endOffset: end }));
      this.byText.set(text, [...(this.byText.get(text) ?? []), found]);
    }
    this.looked();
  }
}

/** The explanation of the term that a pointer rests on. */
class Tooltip {
  private readonly tip = element("div", { id: TIP, role: "tooltip", popover: "manual" });
  private readonly listening = new AbortController();
  private shown: Found | undefined;
  /** What was closed by a key stays closed while the pointer is on it. */
  private closed: Found | undefined;
  private waiting: Found | undefined;
  private timer: number | undefined;
  private frame = 0;

  constructor(
    private readonly marks: Marks,
    private readonly host: Element,
  ) {
    document.body.append(this.tip);
    marks.looked = () => this.shown?.text.isConnected === false && this.hide();
    const options = { capture: true, passive: true, signal: this.listening.signal };
    addEventListener("pointermove", (event) => this.moved(event), options);
    addEventListener("pointerdown", (event) => this.isOn(event) || this.hide(), options);
    addEventListener("scroll", (event) => event.target === this.tip || this.hide(), options);
    addEventListener("resize", () => this.hide(), options);
    addEventListener("blur", () => this.hide(), options);
    document.documentElement.addEventListener("pointerleave", () => this.later(), options);
    addEventListener("keydown", (event) => this.pressed(event), options);
  }

  remove(): void {
    this.listening.abort();
    cancelAnimationFrame(this.frame);
    this.hide();
    this.tip.remove();
  }

  private isOn(event: Event): boolean {
    return event.composedPath().includes(this.tip);
  }

  /** A finger has no place to rest: the list of words is for it. */
  private moved(event: PointerEvent): void {
    if (event.pointerType === "touch") return;
    const on = this.isOn(event);
    const { clientX, clientY, buttons } = event;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.look(on, buttons ? undefined : this.marks.at(clientX, clientY)));
  }

  private look(onTip: boolean, at: Found | undefined): void {
    if (onTip || (at && at === this.shown)) return this.wait(undefined);
    if (!same(at, this.closed)) this.closed = undefined;
    if (!at || this.closed) return this.later();
    if (at === this.waiting) return;
    this.wait(at);
    this.timer = setTimeout(() => this.show(at), REST);
  }

  private wait(what: Found | undefined): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.waiting = what;
  }

  /** Once the pointer had time to come to the tooltip. */
  private later(): void {
    if (!this.shown) return this.wait(undefined);
    if (this.timer !== undefined && !this.waiting) return;
    this.wait(undefined);
    this.timer = setTimeout(() => this.hide(), GRACE);
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key !== "Escape" || !this.shown) return;
    this.closed = this.shown;
    this.hide();
  }

  private show(found: Found): void {
    this.wait(undefined);
    const [box] = found.text.isConnected ? boxesOf(found) : [];
    if (!box) return;
    this.shown = found;
    const theme = getComputedStyle(this.host);
    for (const name of THEME) this.tip.style.setProperty(name, theme.getPropertyValue(name));
    this.tip.replaceChildren(element("strong", {}, found.term.name), element("span", {}, found.term.meaning));
    this.tip.showPopover();
    const { offsetWidth, offsetHeight } = this.tip;
    const below = box.bottom + offsetHeight <= innerHeight - EDGE;
    this.tip.style.left = `${within(box.left, EDGE, Math.max(EDGE, innerWidth - EDGE - offsetWidth))}px`;
    this.tip.style.top = `${below ? box.bottom : box.top - offsetHeight}px`;
  }

  private hide(): void {
    this.wait(undefined);
    this.shown = undefined;
    if (this.tip.matches(":popover-open")) this.tip.hidePopover();
  }
}

/** After a rerun the same term at the same place is another object. */
function same(a: Found | undefined, b: Found | undefined): boolean {
  return a?.term.name === b?.term.name && a?.text === b?.text;
}

function caretAt(x: number, y: number): { node: Node; at: number } | null {
  if (typeof document.caretPositionFromPoint === "function") {
    const caret = document.caretPositionFromPoint(x, y);
    return caret && { node: caret.offsetNode, at: caret.offset };
  }
  const range = document.caretRangeFromPoint?.(x, y);
  return range ? { node: range.startContainer, at: range.startOffset } : null;
}

/** Where a term is in the window: more than one box where it is broken over lines. */
function boxesOf({ text, start, end }: Found): DOMRect[] {
  if (end > text.length) return []; // the text has changed, and was not looked through yet
  const range = document.createRange();
  range.setStart(text, start);
  range.setEnd(text, end);
  return [...range.getClientRects()];
}

function holds(box: DOMRect, x: number, y: number): boolean {
  return box.left <= x && x <= box.right && box.top <= y && y <= box.bottom;
}
