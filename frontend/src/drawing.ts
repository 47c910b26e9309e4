/** A rectangle that is drawn on a picture, by pointer or by keys. */
import { element, set, within, write } from "./component";
import { percent } from "./overlay";

interface Rectangle {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** In fractions of the picture: less was a slip of the hand; an arrow key's step; what keys begin with. */
const SLIP = 0.01;
const STEP = 0.02;
const BEGIN: Rectangle = { left: 0.375, top: 0.375, width: 0.25, height: 0.25 };
/** Digits after the point of a fraction: a tenth of a pixel in a picture of 1,000. */
const DIGITS = 4;

export class Drawing {
  on = false;
  words = { drawing: "", box: "" };
  /** Where the rectangle is; what has the focus while one draws. */
  readonly box = element("div", { class: "box", role: "application", tabindex: "-1", hidden: "" });
  /** Says to those who do not see it where the rectangle is. */
  readonly said = element("div", { class: "aside", role: "status" });
  private now: Rectangle | null = null;
  private from: { x: number; y: number } | null = null;

  constructor(
    private readonly stage: HTMLElement,
    private readonly button: HTMLButtonElement,
    private readonly take: (box: number[]) => void,
    private readonly changed: () => void,
  ) {
    button.addEventListener("click", (event) => (this.on ? this.leave() : this.enter(event.detail === 0)));
    this.box.addEventListener("keydown", (event) => this.onKey(event));
    stage.addEventListener("pointerdown", (event) => this.onDown(event));
    stage.addEventListener("pointermove", (event) => this.onMove(event));
    stage.addEventListener("pointerup", (event) => this.onUp(event));
    stage.addEventListener("pointercancel", () => this.show((this.from = null)));
  }

  /** Begin; by keys, with a rectangle to move. */
  private enter(byKeys: boolean): void {
    this.set(true);
    this.box.hidden = false;
    set(this.box, "aria-label", this.words.drawing);
    this.show(byKeys ? BEGIN : null);
    this.box.focus({ preventScroll: true });
    this.stage.scrollIntoView({ block: "nearest" });
  }

  leave(): void {
    if (!this.on) return;
    const focused = this.box.matches(":focus");
    this.from = null;
    this.show(null);
    this.box.hidden = true;
    this.set(false);
    if (focused) this.button.focus({ preventScroll: true });
  }

  private set(on: boolean): void {
    this.on = on;
    set(this.button, "aria-pressed", String(on));
    this.stage.classList.toggle("drawing", on);
    this.changed();
  }

  private show(box: Rectangle | null): void {
    this.now = box;
    const { left, top, width, height } = box ?? { left: 0, top: 0, width: 0, height: 0 };
    Object.assign(this.box.style, {
      left: percent(left), top: percent(top), width: percent(width), height: percent(height),
    });
    this.box.classList.toggle("empty", box === null);
    const text = inWords(this.words.box, [left, top, width, height]);
    write(this.said, box && this.from === null ? text : "");
  }

  private done(): void {
    const box = this.now;
    this.leave();
    if (!box || box.width < SLIP || box.height < SLIP) return;
    const [left, top] = [rounded(box.left), rounded(box.top)];
    this.take([left, top, within(rounded(box.width), 0, 1 - left), within(rounded(box.height), 0, 1 - top)]);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key === "Escape") this.leave();
    else if (event.key === "Enter") this.done();
    else {
      const [x, y] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key] ?? [];
      if (x === undefined || y === undefined) return;
      this.show(this.now ? (event.shiftKey ? sized(this.now, x, y) : moved(this.now, x, y)) : BEGIN);
    }
    event.preventDefault();
    event.stopPropagation();
  }

  private onDown(event: PointerEvent): void {
    if (!this.on || event.button !== 0) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.from = this.at(event);
    this.box.focus({ preventScroll: true });
  }

  private onMove(event: PointerEvent): void {
    if (!this.on || !this.from) return;
    const [a, b] = [this.from, this.at(event)];
    this.show({
      left: Math.min(a.x, b.x), top: Math.min(a.y, b.y), width: Math.abs(a.x - b.x), height: Math.abs(a.y - b.y),
    });
  }

  private onUp(event: PointerEvent): void {
    if (!this.on || !this.from) return;
    this.onMove(event);
    this.from = null;
    if (this.now && this.now.width >= SLIP && this.now.height >= SLIP) this.done();
    else this.show(null);
  }

  /** A pointer's place in fractions of the picture. */
  private at({ clientX, clientY }: PointerEvent): { x: number; y: number } {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    return { x: within((clientX - left) / width, 0, 1), y: within((clientY - top) / height, 0, 1) };
  }
}

/** Where a rectangle lies, in a sentence with a place for each of its sides. */
export function inWords(text: string, [left, top, width, height]: [number, number, number, number]): string {
  const shares: Rectangle = { left, top, width, height };
  return text.replace(/\{(\w+)\}/g, (_, side: keyof Rectangle) => String(Math.round(100 * shares[side])));
}

function moved(box: Rectangle, x: number, y: number): Rectangle {
  return { ...box, left: within(box.left + x, 0, 1 - box.width), top: within(box.top + y, 0, 1 - box.height) };
}

function sized(box: Rectangle, x: number, y: number): Rectangle {
  return { ...box, width: within(box.width + x, STEP, 1 - box.left), height: within(box.height + y, STEP, 1 - box.top) };
}

function rounded(fraction: number): number {
  return Number(fraction.toFixed(DIGITS));
}
