/** A layer small on the frame, beside what the reference knows of it; the viewer shows it while it is pointed at. */
import { component, element, placed, set, write } from "./component";
import { channel } from "./layers";
import { Overlay } from "./overlay";
import overlay from "./overlay.css";
import styles from "./layer_card.css";

interface Data {
  channel: string;
  frame: number;
  name: string;
  title: string;
  text: string;
  crops: { url: string; width: number; height: number } | null;
  crops_alt: string;
  caption: string;
  words: { waiting: string; map: string; keep: string };
}

export default component<Data>((place) => {
  const over = new Overlay();
  const picture = element("img", { alt: "" });
  const waiting = element("span", { class: "waiting" });
  const map = element("div", { class: "map" }, picture, over.colours, over.outline, waiting);
  const crops = element("img", { class: "crops", alt: "" });
  const [title, text, caption] = [element("strong"), element("p"), element("p", { class: "caption" })];
  const keep = element("button", { type: "button" });
  const card = element("div", { class: "nero card", role: "group" });
  card.append(element("div", { class: "pictures" }, map, crops), title, text, caption, keep);
  const out = placed(place, overlay + styles, card);
  let here: Data | null = null;
  let stop = (): void => {};

  const draw = (): void => {
    if (!here) return;
    const board = channel(here.channel);
    const layer = board.frame?.number === here.frame ? board.layer(here.name) : null;
    const pinned = board.pinned === here.name;
    if (layer && board.frame) {
      set(picture, "src", board.frame.url);
      over.lie(board.frame);
    }
    if (board.frame) map.style.aspectRatio = `${board.frame.width} / ${board.frame.height}`;
    over.show(layer);
    picture.hidden = layer === null;
    waiting.hidden = layer !== null;
    set(map, "aria-label", layer ? `${here.title}: ${here.words.map}` : here.words.waiting);
    set(keep, "aria-pressed", String(pinned));
    set(keep, "aria-disabled", String(layer === null));
    card.classList.toggle("pinned", pinned);
  };

  let [hovered, focused] = [false, false];
  const point = (): void => {
    if (!here) return;
    if (hovered || focused) channel(here.channel).point(here.name);
    else channel(here.channel).leave(here.name);
  };
  const pin = (): void => {
    if (!here || keep.getAttribute("aria-disabled") !== "false") return;
    const board = channel(here.channel);
    board.pin(here.name);
    if (board.pinned) board.reveal();
  };
  const hover = (on: boolean) => (): void => {
    hovered = on;
    point();
  };
  /** A click leaves the focus behind, which then means nothing: only that of keys is looked for. */
  const focus = (): void => {
    focused = card.querySelector(":focus-visible") !== null;
    point();
  };
  card.addEventListener("pointerenter", hover(true));
  card.addEventListener("pointerleave", hover(false));
  card.addEventListener("focusin", focus);
  card.addEventListener("focusout", () => requestAnimationFrame(focus));
  keep.addEventListener("click", pin);
  map.addEventListener("click", pin);
  set(map, "role", "img");

  const forget = (): void => {
    stop();
    if (!here) return;
    channel(here.channel).leave(here.name);
    channel(here.channel).unpin(here.name);
  };

  return {
    update(data) {
      if (here?.channel !== data.channel || here.name !== data.name) {
        forget();
        stop = channel(data.channel).listen(draw);
      }
      here = data;
      set(card, "aria-label", data.title);
      write(title, data.title);
      write(text, data.text);
      write(caption, data.caption);
      write(waiting, data.words.waiting);
      write(keep, data.words.keep);
      set(keep, "aria-label", `${data.words.keep}: ${data.title}`);
      crops.hidden = data.crops === null;
      if (data.crops) {
        set(crops, "src", data.crops.url);
        set(crops, "width", String(data.crops.width));
        set(crops, "height", String(data.crops.height));
        set(crops, "alt", data.crops_alt);
      }
      draw();
    },
    remove() {
      forget();
      out();
    },
  };
});
