/**
 * What the viewer, the layers and the cards of a page know together: one board for all bundles.
 *
 * They are mounted in any order, and what was made of another frame than the one under review is never found here.
 */

export interface Frame {
  number: number;
  url: string;
  width: number;
  height: number;
  /** Where layers lie: left, top, width, height in fractions of the picture. */
  seen: [number, number, number, number];
}

export interface Layer {
  channel: string;
  frame: number;
  name: string;
  title: string;
  /** A picture, clear where nothing is; empty where there is none. */
  colours: string;
  /** Path of an SVG whose sides are `side` long. */
  outline: string;
  side: number;
  /** Of a place that is no heatmap: left, top, width, height in fractions of the picture. */
  box?: [number, number, number, number] | null;
}

/** The layer that is shown until another is pointed at, as `ALL` in frame_viewer.py. */
const ALL = "all";
/** The place that the sentence of why speaks of, as `REGION` in frame_viewer.py. */
export const REGION = "region";

class Channel {
  frame: Frame | null = null;
  /** By the name of a card, the layer that it points at. */
  pointed: string | null = null;
  pinned: string | null = null;
  readonly layers = new Map<string, Layer>();
  readonly listeners = new Set<() => void>();

  tell(): void {
    for (const listener of [...this.listeners]) listener();
  }

  /** The layer of that name, if it is of the frame under review. */
  layer(name: string | null): Layer | null {
    const found = name === null ? undefined : this.layers.get(name);
    return found && found.frame === this.frame?.number ? found : null;
  }

  /** The layer that the viewer shows. */
  shown(): Layer | null {
    return this.layer(this.pointed) ?? this.layer(this.pinned) ?? this.layer(ALL);
  }

  /** Another frame under review: nothing of the former is pointed at. */
  open(frame: Frame): void {
    if (frame.number !== this.frame?.number) this.pointed = this.pinned = null;
    this.frame = frame;
    this.tell();
  }

  close(frame: Frame): void {
    if (this.frame !== frame) return;
    this.frame = this.pointed = this.pinned = null;
    this.tell();
  }

  add(layer: Layer): void {
    this.layers.set(layer.name, layer);
    this.tell();
  }

  drop(layer: Layer): void {
    if (this.layers.get(layer.name) !== layer) return;
    this.layers.delete(layer.name);
    this.tell();
  }

  point(name: string): void {
    if (this.pointed === name) return;
    this.pointed = name;
    this.tell();
  }

  leave(name: string): void {
    if (this.pointed !== name) return;
    this.pointed = null;
    this.tell();
  }

  /** Brings the viewer into view: the viewer itself knows how. */
  reveal: () => void = () => {};

  pin(name: string): void {
    this.pinned = this.pinned === name ? null : name;
    this.tell();
  }

  unpin(name: string): void {
    if (this.pinned === name) this.pin(name);
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

const KEY = Symbol.for("nero.layers");
type Page = { [KEY]?: Map<string, Channel> };

/** The channel of that name, the same for every bundle of the page. */
export function channel(name: string): Channel {
  const channels = ((globalThis as Page)[KEY] ??= new Map());
  let found = channels.get(name);
  if (!found) channels.set(name, (found = new Channel()));
  return found;
}

export type { Channel };
