/** The frame under review with its layers: outlined, faded, wiped or off; and covers, drawn on it. */
import { component, element, placed, set, within, write } from "./component";
import { Drawing, inWords } from "./drawing";
import { channel, REGION, type Channel, type Frame } from "./layers";
import { Overlay, percent } from "./overlay";
import { Ways, type Way } from "./ways";
import overlay from "./overlay.css";
import styles from "./frame_viewer.css";

type Box = [number, number, number, number];

interface Data {
  channel: string;
  frame: number;
  picture: string;
  width: number;
  height: number;
  alt: string;
  note: string;
  /** Pixels of the window's height for all else, so that both are seen together. */
  reserved: number;
  seen: Box;
  covers: Box[];
  drawing: boolean;
  /** Of a layer, from the lowest to the highest value. */
  colours: string[];
  words: Record<
    Way | "ways" | "opacity" | "edge" | "cover" | "drawing" | "box" | "waiting" | "against" | "nothing" | "for" | "line" | "colours",
    string
  >;
}

/** What a person has chosen for all frames of a channel, until the window is closed. */
interface Look {
  way: Way;
  strength: number;
  edge: number;
  /** Whether the place is drawn that the sentence speaks of. */
  place: boolean;
}
const looks = new Map<string, Look>();
const FIRST_LOOK: Look = { way: "outline", strength: 0.7, edge: 0.5, place: true };
/** How far an arrow key moves the edge of the heatmap, and Page Up and Down, in fractions of the picture. */
const STEP = 0.02;
const LEAP = 0.1;

export default component<Data>((place, tell) => {
  const over = new Overlay();
  const picture = element("img", { class: "picture", alt: "", draggable: "false" });
  const grey = element("img", { class: "grey", alt: "", draggable: "false" });
  const veil = element("div", { class: "veil" }, grey, over.colours);
  const covers = element("div", { class: "covers", "aria-hidden": "true" });
  const edge = element("div", { class: "handle", role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-valuemax": "100" });
  const stage = element("div", { class: "stage" }, picture, veil);
  const note = element("span", { class: "note" });
  const kind = element("span");
  const caption = element("span", { class: "shown" });
  const legend = element("span", { class: "legend" }, kind, caption);
  const region = element("div", { class: "region", "aria-hidden": "true" });
  const named = element("button", { type: "button", class: "named" });
  const strength = element("input", { type: "range", min: "0", max: "100" });
  const bar = element("div", { class: "scale" }, element("span"), element("span"), element("span"));
  const hint = element("p", { class: "hint" });
  const below = element("div", { class: "caption" }, note, legend, named, hint);
  const more = element("div", { class: "more" }, strength, bar);
  const cover = element("button", { type: "button", "aria-pressed": "false" });
  const ways = new Ways((way) => change({ way }));
  const drawing = new Drawing(stage, cover, (box) => tell.event("drawn", box), () => draw());
  stage.append(over.outline, region, covers, drawing.box, edge);
  const tools = element("div", { class: "tools" }, ways.group, more, cover);
  const root = element("div", { class: "nero viewer" }, stage, below, tools, drawing.said);
  const out = placed(place, overlay + styles, root);

  let data: Data | null = null;
  let frame: Frame | null = null;
  let board: Channel | null = null;
  let stop = (): void => {};

  const look = (): Look => (data && looks.get(data.channel)) ?? FIRST_LOOK;
  const change = (to: Partial<Look>): void => {
    if (data) looks.set(data.channel, { ...look(), ...to });
    draw();
  };

  const draw = (): void => {
    if (!data || !board) return;
    const { way, strength: opacity, edge: at } = look();
    const layer = board.shown();
    const scaled = way === "fade" || way === "wipe";
    over.show(layer);
    set(root, "data-way", way);
    ways.show(way);
    veil.hidden = layer === null || !scaled;
    veil.style.opacity = way === "fade" ? String(opacity) : "";
    veil.style.clipPath = way === "wipe" ? `inset(0 ${percent(1 - at)} 0 0)` : "";
    over.outline.toggleAttribute("hidden", way !== "outline");
    edge.hidden = way !== "wipe" || drawing.on;
    edge.style.left = percent(at);
    set(edge, "aria-valuenow", String(Math.round(100 * at)));
    set(edge, "aria-valuetext", `${Math.round(100 * at)} %`);
    strength.value = String(Math.round(100 * opacity));
    set(strength, "aria-valuetext", `${strength.value} %`);
    strength.hidden = way !== "fade" || drawing.on;
    bar.hidden = !scaled || drawing.on;
    hint.hidden = !drawing.on;
    note.hidden = legend.hidden = drawing.on;
    kind.hidden = layer === null || way === "off";
    write(kind, `${scaled ? data.words.colours : data.words.line}: `);
    write(caption, way === "off" ? "" : (layer?.title ?? data.words.waiting));
    drawPlace();
  };

  const drawPlace = (): void => {
    const found = board?.layer(REGION);
    region.hidden = !found?.box || !look().place;
    named.hidden = !found?.box || drawing.on;
    if (!found?.box || !data) return;
    lie(region, found.box);
    set(named, "aria-pressed", String(look().place));
    write(named, found.title);
    set(named, "aria-label", `${found.title}: ${inWords(data.words.box, found.box)}`);
  };
  named.addEventListener("click", () => change({ place: !look().place }));

  strength.addEventListener("input", () => change({ strength: Number(strength.value) / 100 }));
  const moveEdge = (to: number): void => change({ edge: within(to, 0, 1) });
  edge.addEventListener("keydown", (event) => {
    const now = look().edge;
    const to = {
      ArrowLeft: now - STEP, ArrowDown: now - STEP, ArrowRight: now + STEP, ArrowUp: now + STEP,
      PageDown: now - LEAP, PageUp: now + LEAP, Home: 0, End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveEdge(to);
  });
  const drag = (event: PointerEvent): void => {
    const { left, width } = stage.getBoundingClientRect();
    moveEdge((event.clientX - left) / width);
  };
  stage.addEventListener("pointerdown", (event) => {
    if (drawing.on || look().way !== "wipe" || event.button !== 0) return;
    event.preventDefault();
    edge.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    drag(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drawing.on && look().way === "wipe" && stage.hasPointerCapture(event.pointerId)) drag(event);
  });

  const close = (): void => {
    stop();
    if (frame) board?.close(frame);
  };

  return {
    update(now) {
      if (now.channel !== data?.channel) {
        close();
        board = channel(now.channel);
        stop = board.listen(draw);
        board.reveal = () => intoView(stage);
      }
      if (now.frame !== data?.frame || !now.drawing) drawing.leave();
      data = now;
      stage.style.setProperty("--ratio", String(now.width / now.height));
      root.style.setProperty("--reserved", `${now.reserved}px`);
      write(note, now.note);
      set(note, "title", now.note); // where there is no room for all of it
      set(picture, "src", now.picture);
      set(picture, "alt", now.alt);
      set(grey, "src", now.picture);
      covers.replaceChildren(...now.covers.map(hatched));
      cover.hidden = !now.drawing;
      write(cover, now.words.cover);
      write(hint, now.words.drawing);
      drawing.words = now.words;
      ways.name(now.words.ways, now.words);
      set(strength, "aria-label", now.words.opacity);
      set(edge, "aria-label", now.words.edge);
      bar.style.setProperty("--colours", now.colours.join(","));
      [now.words.against, now.words.nothing, now.words.for].forEach((word, at) => write(bar.children[at]!, word));
      frame = { number: now.frame, url: now.picture, width: now.width, height: now.height, seen: now.seen };
      over.lie(frame);
      board!.open(frame);
    },
    remove() {
      drawing.leave();
      close();
      out();
    },
  };
});

function hatched(box: Box): HTMLElement {
  const made = element("div", { class: "cover" });
  lie(made, box);
  return made;
}

function lie(there: HTMLElement, [left, top, width, height]: Box): void {
  Object.assign(there.style, { left: percent(left), top: percent(top), width: percent(width), height: percent(height) });
}

/** As little as needed, below the page's header. */
function intoView(stage: HTMLElement): void {
  const header = document.querySelector('[data-testid="stHeader"]')?.getBoundingClientRect().bottom ?? 0;
  stage.style.scrollMarginTop = `${header}px`;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  stage.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}
