/** How a component lives in Streamlit: one view for each place it is mounted at, updated in place. */
import type { FrontendRenderer, FrontendRendererArgs } from "@streamlit/component-v2-lib";
import shared from "./shared.css";

export type Place = HTMLElement | ShadowRoot;
/** What Python is told: of something that happened, once; or how something is from now on. */
export interface Tell {
  event(name: string, value: unknown): void;
  state(name: string, value: unknown): void;
}

export interface View<Data> {
  update(data: Data): void;
  remove(): void;
}

/**
 * The function that Streamlit calls with every new data for a place.
 *
 * It also calls the clean-up of a call that was overtaken by the next, which must not take the view away from that one:
 * only the clean-up of the last call removes it.
 */
export function component<Data>(open: (place: Place, tell: Tell) => View<Data>): FrontendRenderer<any, Data> {
  const mounted = new WeakMap<Place, Mounted<Data>>();
  return (given) => {
    const place = given.parentElement;
    const here = mounted.get(place) ?? new Mounted(open, given);
    mounted.set(place, here);
    here.last = given;
    here.view.update(given.data);
    return () => {
      if (here.last !== given || mounted.get(place) !== here) return;
      mounted.delete(place);
      here.view.remove();
    };
  };
}

type Given<Data> = FrontendRendererArgs<any, Data>;

class Mounted<Data> implements Tell {
  readonly view: View<Data>;

  constructor(
    open: (place: Place, tell: Tell) => View<Data>,
    public last: Given<Data>,
  ) {
    this.view = open(last.parentElement, this);
  }

  event(name: string, value: unknown): void {
    this.last.setTriggerValue(name, value);
  }

  state(name: string, value: unknown): void {
    this.last.setStateValue(name, value);
  }
}

/** Takes what is seen by nobody out of the column it is mounted in, which would leave a gap for it; returns the way back. */
export function unseen(place: Place): () => void {
  const host = place instanceof ShadowRoot ? place.host : place;
  const row = host.closest<HTMLElement>(".stElementContainer");
  row?.style.setProperty("display", "none");
  return () => row?.style.removeProperty("display");
}

/** An element with its attributes, within which what is given is text or an element, never markup. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Record<string, string> = {},
  ...within: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...within);
  return made;
}

/** Puts a component's elements and styles into its place; returns what takes them out. */
export function placed(place: Place, styles: string, root: HTMLElement): () => void {
  const style = element("style", {}, shared + styles);
  place.append(style, root);
  return () => {
    style.remove();
    root.remove();
  };
}

/** Sets an attribute where it is another: a screen reader hears of every change. */
export function set(target: Element, attribute: string, value: string): void {
  if (target.getAttribute(attribute) !== value) target.setAttribute(attribute, value);
}

/** Sets a text where it is another. */
export function write(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** A number within limits. */
export function within(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
