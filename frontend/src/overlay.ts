/** A picture with what lies over it, alike in the viewer and on a card. */
import { element } from "./component";
import type { Frame, Layer } from "./layers";

const SVG = "http://www.w3.org/2000/svg";


export class Overlay {
  readonly colours = element("div", { class: "colours", "aria-hidden": "true" });
  readonly outline = document.createElementNS(SVG, "svg");
  private readonly paths = ["rim", "edge"].map((name) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    return path;
  });
  private layer: Layer | null = null;
  /** Each layer's colours are one element: going back to a layer shows it at once. */
  private readonly made = new WeakMap<Layer, HTMLImageElement>();

  constructor() {
    this.outline.setAttribute("class", "outline");
    this.outline.setAttribute("preserveAspectRatio", "none");
    this.outline.setAttribute("aria-hidden", "true");
    this.outline.append(...this.paths);
  }

  /** Where on the picture layers lie. */
  lie({ seen: [left, top, width, height] }: Frame): void {
    for (const each of [this.colours, this.outline]) {
      each.style.left = percent(left);
      each.style.top = percent(top);
      each.style.width = percent(width);
      each.style.height = percent(height);
    }
  }

  show(layer: Layer | null): void {
    if (layer === this.layer) return;
    this.layer = layer;
    this.colours.replaceChildren(...(layer?.colours ? [this.pictureOf(layer)] : []));
    if (layer) this.outline.setAttribute("viewBox", `0 0 ${layer.side} ${layer.side}`);
    for (const path of this.paths) path.setAttribute("d", layer?.outline ?? "");
  }

  private pictureOf(layer: Layer): HTMLImageElement {
    let picture = this.made.get(layer);
    if (!picture) this.made.set(layer, (picture = element("img", { src: layer.colours, alt: "" })));
    return picture;
  }
}

export function percent(fraction: number): string {
  return `${100 * fraction}%`;
}
